#!/usr/bin/env bash
# Renders the examples and checks every object against the schemas of two Kubernetes minors, and that one can be upgraded to the other. By hand, since it needs Go tools:
#   go install helm.sh/helm/v3/cmd/helm@v3.16.4 sigs.k8s.io/kubectl-validate@v0.0.4   (each on its own)
# Custom resources (HTTPRoute, ServiceMonitor, PrometheusRule, ScaledObject) are checked where CRDS names a folder with their definitions, and listed as
# skipped otherwise.
set -euo pipefail
cd "$(dirname "$0")/../.."
HELM=${HELM:-helm} VALIDATE=${VALIDATE:-kubectl-validate}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for example in minimal production embedded; do
  for minor in 1.29 1.30; do
    mkdir -p "$out/$example-$minor"
    "$HELM" template hw helm/holdwire -n push --kube-version "$minor.0" -f "helm/holdwire/examples/$example.yaml" \
      | awk -v dir="$out/$example-$minor" 'BEGIN { n = 0 } /^---$/ { n++; next } { print > (dir "/" n ".yaml") }'
    for file in "$out/$example-$minor"/*.yaml; do
      if [ -z "${CRDS:-}" ] && grep -qE '^apiVersion: (gateway.networking.k8s.io|monitoring.coreos.com|keda.sh)' "$file"; then
        echo "$example $minor: $(grep -m1 '^kind:' "$file") skipped: no CRDS"
        rm "$file"
      elif ! grep -q '^kind:' "$file"; then rm "$file"; fi
    done
    "$VALIDATE" --version "$minor" ${CRDS:+--local-crds "$CRDS"} "$out/$example-$minor" >"$out/log" 2>&1 || { cat "$out/log"; exit 1; }
    echo "$example $minor: $(ls "$out/$example-$minor" | wc -l) objects are valid"
  done
done
