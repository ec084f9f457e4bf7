{{- define "holdwire.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for a suffix and for what a Deployment adds: a pod's name is the node id. */}}
{{- define "holdwire.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "holdwire.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "holdwire.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "holdwire.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "holdwire.selectorLabels" . }}
{{- end -}}

{{- define "holdwire.selectorLabels" -}}
app.kubernetes.io/name: {{ include "holdwire.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "holdwire.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "holdwire.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "holdwire.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What the values give to the Secret of the release, as YAML: {key: text}. */}}
{{- define "holdwire.ownSecrets" -}}
{{- $own := dict -}}
{{- with .Values.natsUrl }}{{ $_ := set $own "natsUrl" . }}{{ end -}}
{{- with .Values.secrets.jwtSecret }}{{ $_ := set $own "jwtSecret" . }}{{ end -}}
{{- with .Values.secrets.jwtPublicKey }}{{ $_ := set $own "jwtPublicKey" . }}{{ end -}}
{{- with .Values.secrets.apiKeys }}{{ $_ := set $own "apiKeys" (join "," .) }}{{ end -}}
{{- toYaml $own -}}
{{- end -}}

{{/* The keys of the existing Secret that are used, as YAML: {setting: key}. */}}
{{- define "holdwire.existingKeys" -}}
{{- $keys := dict -}}
{{- range $setting, $key := .Values.existingSecret.keys -}}
{{- if $key }}{{ $_ := set $keys $setting $key }}{{ end -}}
{{- end -}}
{{- toYaml $keys -}}
{{- end -}}

{{/* Fails where the processes would not start. */}}
{{- define "holdwire.check" -}}
{{- $own := include "holdwire.ownSecrets" . | fromYaml -}}
{{- $existing := include "holdwire.existingKeys" . | fromYaml -}}
{{- if and $existing (not .Values.existingSecret.name) -}}
{{- fail "existingSecret.keys names keys, but existingSecret.name is empty" -}}
{{- end -}}
{{- if and .Values.existingSecret.name (not $existing) -}}
{{- fail (printf "existingSecret.name is %s, but existingSecret.keys names none of its keys: jwtSecret, jwtPublicKey, apiKeys, natsUrl" .Values.existingSecret.name) -}}
{{- end -}}
{{- range $setting, $_ := $existing -}}
{{- if hasKey $own $setting -}}
{{- fail (printf "%s is given twice: as a value and in existingSecret.keys" $setting) -}}
{{- end -}}
{{- end -}}
{{- $given := merge (dict) $own $existing -}}
{{- if not (hasKey $given "natsUrl") -}}
{{- fail "natsUrl is missing: gateways and workers meet on NATS. Set natsUrl (nats://nats:4222) or existingSecret.keys.natsUrl" -}}
{{- end -}}
{{- if not (or (hasKey $given "jwtSecret") (hasKey $given "jwtPublicKey") .Values.config.jwksUrl) -}}
{{- fail "no key to check tokens with: without one everybody could be anybody, so the server refuses to start. Set secrets.jwtSecret, secrets.jwtPublicKey, config.jwksUrl, or existingSecret with one of keys.jwtSecret and keys.jwtPublicKey" -}}
{{- end -}}
{{- if not (hasKey $given "apiKeys") -}}
{{- fail "no API key: backends could not push anything. Set secrets.apiKeys or existingSecret.keys.apiKeys" -}}
{{- end -}}
{{- end -}}

{{/* Of a setting: maxSessionsPerIp → HOLDWIRE_MAX_SESSIONS_PER_IP, c2sTimeoutSeconds → HOLDWIRE_C2S_TIMEOUT_SECONDS. */}}
{{- define "holdwire.envName" -}}
HOLDWIRE_{{ regexReplaceAll "([A-Z])" . "_${1}" | upper }}
{{- end -}}

{{/* Settings and the places of secrets. Arguments: root, extraEnv. */}}
{{- define "holdwire.env" -}}
{{- $root := .root -}}
- name: HOLDWIRE_NODE_ID
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: HOLDWIRE_HOST
  value: 0.0.0.0
- name: HOLDWIRE_CLIENT_PORT
  value: "8000"
- name: HOLDWIRE_INTERNAL_PORT
  value: "9000"
{{- $own := include "holdwire.ownSecrets" $root | fromYaml }}
{{- $existing := include "holdwire.existingKeys" $root | fromYaml }}
{{- range $setting := list "natsUrl" "jwtSecret" "jwtPublicKey" "apiKeys" }}
{{- if or (hasKey $own $setting) (hasKey $existing $setting) }}
- name: {{ include "holdwire.envName" $setting }}_FILE
  value: /etc/holdwire/secrets/{{ $setting }}
{{- end }}
{{- end }}
{{- $config := $root.Values.config }}
{{- if and $root.Values.ingress.enabled (not (hasKey $config "trustProxy")) }}
{{- $config = merge (dict "trustProxy" 1) $config }}
{{- end }}
{{- range $setting, $value := $config }}
- name: {{ include "holdwire.envName" $setting }}
  {{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
  {{- else if kindIs "string" $value }}
  value: {{ $value | quote }}
  {{- else }}
  value: {{ $value | toJson | quote }}
  {{- end }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "holdwire.drainSeconds" -}}
{{- if hasKey .Values.config "drainSeconds" }}{{ ceil .Values.config.drainSeconds }}{{ else }}30{{ end -}}
{{- end -}}

{{/* A Deployment. Arguments: root, component, values (gateway or c2s), preStopSeconds. */}}
{{- define "holdwire.deployment" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $fullname := include "holdwire.fullname" $root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $fullname }}-{{ .component }}
  labels:
    {{- include "holdwire.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- if not (and $values.autoscaling $values.autoscaling.enabled) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "holdwire.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  # One after the other, and the new one is ready first: sessions move in portions.
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  template:
    metadata:
      labels:
        {{- include "holdwire.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/secret: {{ include "holdwire.ownSecrets" $root | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "holdwire.serviceAccountName" $root }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      # A process cuts its own stop short 10 s after drainSeconds.
      terminationGracePeriodSeconds: {{ add (include "holdwire.drainSeconds" $root | int) (int .preStopSeconds) 15 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      securityContext:
        {{- toYaml $root.Values.podSecurityContext | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ include "holdwire.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .component }}]
          env:
            {{- include "holdwire.env" (dict "root" $root "extraEnv" $values.extraEnv) | nindent 12 }}
          ports:
            {{- if eq .component "gateway" }}
            - { name: client, containerPort: 8000 }
            {{- end }}
            - { name: internal, containerPort: 9000 }
          # A process that waits for NATS does not listen yet.
          startupProbe:
            httpGet: { path: /livez, port: internal }
            periodSeconds: 2
            failureThreshold: 150
          livenessProbe:
            httpGet: { path: /livez, port: internal }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: { path: /readyz, port: internal }
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          {{- if gt (int .preStopSeconds) 0 }}
          lifecycle:
            preStop:
              exec: { command: [sleep, {{ int .preStopSeconds | toString | quote }}] }
          {{- end }}
          securityContext:
            {{- toYaml $root.Values.securityContext | nindent 12 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: secrets, mountPath: /etc/holdwire/secrets, readOnly: true }
      volumes:
        - name: secrets
          projected:
            defaultMode: 0440
            sources:
              {{- $own := include "holdwire.ownSecrets" $root | fromYaml }}
              {{- if $own }}
              - secret:
                  name: {{ $fullname }}
                  items:
                    {{- range $setting, $_ := $own }}
                    - { key: {{ $setting }}, path: {{ $setting }} }
                    {{- end }}
              {{- end }}
              {{- $existing := include "holdwire.existingKeys" $root | fromYaml }}
              {{- if $existing }}
              - secret:
                  name: {{ $root.Values.existingSecret.name }}
                  items:
                    {{- range $setting, $key := $existing }}
                    - { key: {{ $key | quote }}, path: {{ $setting }} }
                    {{- end }}
              {{- end }}
      topologySpreadConstraints:
        {{- if $values.topologySpreadConstraints }}
        {{- toYaml $values.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "holdwire.selectorLabels" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $.component }}
        {{- end }}
        {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/* Arguments: root, component, values. */}}
{{- define "holdwire.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "holdwire.fullname" .root }}-{{ .component }}
  labels:
    {{- include "holdwire.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "holdwire.selectorLabels" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end -}}
