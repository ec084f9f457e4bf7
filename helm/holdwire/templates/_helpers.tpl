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
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of an object: labels, and annotations where there are any. Arguments: root, component, labels, annotations. */}}
{{- define "holdwire.metadata" -}}
labels:
  {{- include "holdwire.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "holdwire.selectorLabels" -}}
app.kubernetes.io/name: {{ include "holdwire.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "holdwire.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "holdwire.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "holdwire.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Empty with the embedded bus. */}}
{{- define "holdwire.natsUrl" -}}
{{- if .Values.natsUrl -}}
{{- .Values.natsUrl -}}
{{- else if and .Values.nats.enabled (not .Values.existingSecret.keys.natsUrl) -}}
nats://{{ include "holdwire.nats.fullname" . }}:4222
{{- end -}}
{{- end -}}

{{/* As charts/nats makes it. */}}
{{- define "holdwire.nats.fullname" -}}
{{- printf "%s-nats" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What the values give to the Secret of the release, as YAML: {key: text}. */}}
{{- define "holdwire.ownSecrets" -}}
{{- $own := dict -}}
{{- with include "holdwire.natsUrl" . }}{{ $_ := set $own "natsUrl" . }}{{ end -}}
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

{{/* Fails where the processes would not start, or not do what is asked. */}}
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
{{- if .Values.embedded.enabled -}}
{{- if hasKey $given "natsUrl" -}}
{{- fail "embedded.enabled, and NATS too (natsUrl, existingSecret.keys.natsUrl or nats.enabled): one of them" -}}
{{- end -}}
{{- if or (ne (int .Values.gateway.replicas) 1) .Values.gateway.autoscaling.enabled -}}
{{- fail (printf "embedded.enabled, and gateway.replicas is %d or gateway.autoscaling is on: the embedded bus is of one process, which others can not meet on. Set gateway.replicas to 1, or use NATS" (int .Values.gateway.replicas)) -}}
{{- end -}}
{{- else -}}
{{- if not (hasKey $given "natsUrl") -}}
{{- fail "natsUrl is missing: gateways and workers meet on NATS. Set natsUrl (nats://nats:4222), existingSecret.keys.natsUrl or nats.enabled; or embedded.enabled for a single process" -}}
{{- end -}}
{{- if and .Values.natsUrl .Values.nats.enabled -}}
{{- fail "nats.enabled, and natsUrl is given: the NATS of the release would not be used" -}}
{{- end -}}
{{- end -}}
{{- if not (or (hasKey $given "jwtSecret") (hasKey $given "jwtPublicKey") .Values.config.jwksUrl) -}}
{{- fail "no key to check tokens with: without one everybody could be anybody, so the server refuses to start. Set secrets.jwtSecret, secrets.jwtPublicKey, config.jwksUrl, or existingSecret with one of keys.jwtSecret and keys.jwtPublicKey" -}}
{{- end -}}
{{- if not (hasKey $given "apiKeys") -}}
{{- fail "no API key: backends could not push anything. Set secrets.apiKeys or existingSecret.keys.apiKeys" -}}
{{- end -}}
{{- range $component, $preStop := dict "gateway" (int .Values.gateway.preStopSeconds) "c2s" 0 -}}
{{- $grace := (index $.Values $component).terminationGracePeriodSeconds -}}
{{- $least := add $preStop (include "holdwire.drainSeconds" $ | int) 10 -}}
{{- if and (not (kindIs "invalid" $grace)) (lt (int64 $grace) $least) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d, but a stop takes up to %d s: preStopSeconds %d + drainSeconds %d + 10. Pods would be killed while they hand their sessions over" $component (int $grace) $least $preStop (include "holdwire.drainSeconds" $ | int)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.gateway.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail "gateway.autoscaling: minReplicas is more than maxReplicas" -}}
{{- end -}}
{{- if not (or (int .targetSessionsPerPod) (int .targetCPUUtilizationPercentage)) -}}
{{- fail "gateway.autoscaling.enabled, but neither targetSessionsPerPod nor targetCPUUtilizationPercentage says when" -}}
{{- end -}}
{{- if and .keda.enabled (int .targetSessionsPerPod) (not .keda.serverAddress) -}}
{{- fail "gateway.autoscaling.keda.enabled, but keda.serverAddress (of Prometheus) is empty" -}}
{{- end -}}
{{- if and (hasKey $.Values.config "maxSessions") (gt (int64 .targetSessionsPerPod) (int64 $.Values.config.maxSessions)) -}}
{{- fail "gateway.autoscaling.targetSessionsPerPod is more than config.maxSessions: pods would refuse sessions before there are more pods" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int .Values.gateway.podDisruptionBudget.maxUnavailable) 0) (ge (int .Values.gateway.podDisruptionBudget.maxUnavailable) (int .Values.gateway.replicas)) (gt (int .Values.gateway.replicas) 1) (not .Values.gateway.autoscaling.enabled) -}}
{{- fail "gateway.podDisruptionBudget.maxUnavailable would let all gateways go at once" -}}
{{- end -}}
{{- if and .Values.tls.client.existingSecret (eq (.Values.config.engine | default "auto") "uws") -}}
{{- fail "tls.client.existingSecret, and config.engine is uws: TLS on the client port needs the engine node" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled, but httpRoute.parentRefs is empty" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor would scrape everything twice: one of them" -}}
{{- end -}}
{{- if or .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- if not (or (and .Values.serviceMonitor.apiKeySecret.name .Values.serviceMonitor.apiKeySecret.key) .Values.config.publicMetrics) -}}
{{- fail "/metrics wants an API key: set serviceMonitor.apiKeySecret, or config.publicMetrics to true" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of a setting: maxSessionsPerIp → HOLDWIRE_MAX_SESSIONS_PER_IP, c2sTimeoutSeconds → HOLDWIRE_C2S_TIMEOUT_SECONDS. */}}
{{- define "holdwire.envName" -}}
HOLDWIRE_{{ regexReplaceAll "([A-Z])" . "_${1}" | upper }}
{{- end -}}

{{- define "holdwire.internalScheme" -}}
{{ if .Values.tls.internal.existingSecret }}https{{ else }}http{{ end }}
{{- end -}}

{{- define "holdwire.clientUrl" -}}
{{ if .Values.tls.client.existingSecret }}https{{ else }}http{{ end }}://{{ include "holdwire.fullname" . }}:{{ .Values.service.port }}
{{- end -}}

{{- define "holdwire.internalUrl" -}}
{{ include "holdwire.internalScheme" . }}://{{ include "holdwire.fullname" . }}-internal:{{ .Values.internalService.port }}
{{- end -}}

{{/* Settings and the places of secrets. Arguments: root, extraEnv, embedded, listens. */}}
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
{{- if .embedded }}
- name: HOLDWIRE_DATA_DIR
  value: /var/lib/holdwire
{{- end }}
{{- if .listens }}
{{- range $port := list "client" "internal" }}
{{- if (index $root.Values.tls $port).existingSecret }}
- name: HOLDWIRE_{{ upper $port }}_TLS_CERT
  value: /etc/holdwire/tls/{{ $port }}/tls.crt
- name: HOLDWIRE_{{ upper $port }}_TLS_KEY
  value: /etc/holdwire/tls/{{ $port }}/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- if $root.Values.natsCa.existingSecret }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/holdwire/nats-ca/{{ $root.Values.natsCa.key }}
{{- end }}
{{- $own := include "holdwire.ownSecrets" $root | fromYaml }}
{{- $existing := include "holdwire.existingKeys" $root | fromYaml }}
{{- range $setting := list "natsUrl" "jwtSecret" "jwtPublicKey" "apiKeys" }}
{{- if or (hasKey $own $setting) (hasKey $existing $setting) }}
- name: {{ include "holdwire.envName" $setting }}_FILE
  value: /etc/holdwire/secrets/{{ $setting }}
{{- end }}
{{- end }}
{{- $config := $root.Values.config }}
{{- if and (or $root.Values.ingress.enabled $root.Values.httpRoute.enabled) (not (hasKey $config "trustProxy")) (not $config.trustedProxies) }}
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

{{/* Arguments: root, secret (of the values' secrets), listens, data. */}}
{{- define "holdwire.volumeMounts" -}}
- { name: secrets, mountPath: /etc/holdwire/secrets, readOnly: true }
{{- if .root.Values.natsCa.existingSecret }}
- { name: nats-ca, mountPath: /etc/holdwire/nats-ca, readOnly: true }
{{- end }}
{{- if .listens }}
{{- range $port := list "client" "internal" }}
{{- if (index $.root.Values.tls $port).existingSecret }}
- { name: tls-{{ $port }}, mountPath: /etc/holdwire/tls/{{ $port }}, readOnly: true }
{{- end }}
{{- end }}
{{- end }}
{{- if .data }}
- { name: data, mountPath: /var/lib/holdwire }
{{- end }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Arguments as above. */}}
{{- define "holdwire.volumes" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- $own := include "holdwire.ownSecrets" .root | fromYaml }}
      {{- if $own }}
      - secret:
          name: {{ .secret }}
          items:
            {{- range $setting, $_ := $own }}
            - { key: {{ $setting }}, path: {{ $setting }} }
            {{- end }}
      {{- end }}
      {{- $existing := include "holdwire.existingKeys" .root | fromYaml }}
      {{- if $existing }}
      - secret:
          name: {{ .root.Values.existingSecret.name }}
          items:
            {{- range $setting, $key := $existing }}
            - { key: {{ $key | quote }}, path: {{ $setting }} }
            {{- end }}
      {{- end }}
{{- if .root.Values.natsCa.existingSecret }}
- name: nats-ca
  secret: { secretName: {{ .root.Values.natsCa.existingSecret }}, defaultMode: 0440 }
{{- end }}
{{- if .listens }}
{{- range $port := list "client" "internal" }}
{{- with (index $.root.Values.tls $port).existingSecret }}
- name: tls-{{ $port }}
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- end }}
{{- end }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "holdwire.drainSeconds" -}}
{{- if hasKey .Values.config "drainSeconds" }}{{ ceil .Values.config.drainSeconds }}{{ else }}30{{ end -}}
{{- end -}}

{{/* What all pods of the release share. */}}
{{- define "holdwire.podCommon" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/*
The template of a pod that serves. Arguments: root, component, role (word of the command line), values (gateway or c2s), resources,
preStopSeconds, embedded.
*/}}
{{- define "holdwire.podTemplate" -}}
{{- $root := .root -}}
{{- $values := .values -}}
metadata:
  labels:
    {{- include "holdwire.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/secret: {{ include "holdwire.ownSecrets" $root | sha256sum }}
    {{- with merge (dict) $values.podAnnotations $root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "holdwire.serviceAccountName" $root }}
  {{- include "holdwire.podCommon" $root | nindent 2 }}
  # A process cuts its own stop short 10 s after drainSeconds.
  {{- if kindIs "invalid" $values.terminationGracePeriodSeconds }}
  terminationGracePeriodSeconds: {{ add (include "holdwire.drainSeconds" $root | int) (int .preStopSeconds) 15 }}
  {{- else }}
  terminationGracePeriodSeconds: {{ int64 $values.terminationGracePeriodSeconds }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "holdwire.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ .role }}]
      env:
        {{- include "holdwire.env" (dict "root" $root "extraEnv" $values.extraEnv "embedded" .embedded "listens" true) | nindent 8 }}
      ports:
        {{- if eq .component "gateway" }}
        - { name: client, containerPort: 8000 }
        {{- end }}
        - { name: internal, containerPort: 9000 }
      {{- $scheme := include "holdwire.internalScheme" $root | upper }}
      # A process that waits for NATS does not listen yet.
      startupProbe:
        httpGet: { path: /livez, port: internal, scheme: {{ $scheme }} }
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: { path: /livez, port: internal, scheme: {{ $scheme }} }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: { path: /readyz, port: internal, scheme: {{ $scheme }} }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      {{- if gt (int .preStopSeconds) 0 }}
      lifecycle:
        preStop:
          # Without a shell: the image need not have one.
          exec: { command: [node, -e, {{ printf "setTimeout(() => {}, %d)" (mul (int .preStopSeconds) 1000) | quote }}] }
      {{- end }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        {{- include "holdwire.volumeMounts" (dict "root" $root "listens" true "data" .embedded "extra" $values.extraVolumeMounts) | nindent 8 }}
  volumes:
    {{- include "holdwire.volumes" (dict "root" $root "secret" (include "holdwire.fullname" $root) "listens" true "extra" $values.extraVolumes) | nindent 4 }}
    {{- if and .embedded (not $root.Values.embedded.persistence.enabled) }}
    - name: data
      emptyDir: {}
    {{- end }}
  topologySpreadConstraints:
    {{- if $values.topologySpreadConstraints }}
    {{- toYaml $values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "holdwire.selectorLabels" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.component }}
    {{- end }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Arguments: root, component, values, preStopSeconds. */}}
{{- define "holdwire.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "holdwire.fullname" .root }}-{{ .component }}
  {{- include "holdwire.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  {{- if not .values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  minReadySeconds: {{ .values.minReadySeconds }}
  selector:
    matchLabels:
      {{- include "holdwire.selectorLabels" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  # One after the other, and the new one is ready first: sessions move in portions.
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  template:
    {{- include "holdwire.podTemplate" (dict "root" .root "component" .component "role" .component "values" .values "resources" .values.resources "preStopSeconds" .preStopSeconds "embedded" false) | nindent 4 }}
{{- end -}}

{{/* Arguments: root, component, values. */}}
{{- define "holdwire.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "holdwire.fullname" .root }}-{{ .component }}
  {{- include "holdwire.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "holdwire.selectorLabels" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Arguments: root, component, values. */}}
{{- define "holdwire.autoscaler" -}}
{{- $auto := .values.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "holdwire.fullname" .root }}-{{ .component }}
  {{- include "holdwire.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "holdwire.fullname" .root }}-{{ .component }}
  minReplicas: {{ $auto.minReplicas }}
  maxReplicas: {{ $auto.maxReplicas }}
  metrics:
    {{- if int ($auto.targetSessionsPerPod | default 0) }}
    - type: Pods
      pods:
        metric: { name: holdwire_sessions }
        target: { type: AverageValue, averageValue: {{ $auto.targetSessionsPerPod | int64 | toString | quote }} }
    {{- end }}
    {{- if int ($auto.targetCPUUtilizationPercentage | default 0) }}
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: {{ $auto.targetCPUUtilizationPercentage }} }
    {{- end }}
  {{- with $auto.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
