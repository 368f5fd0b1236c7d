#!/usr/bin/env bash
# Installs it on the cluster of your present kubectl context, and has the receiver's own commands say whether it works.
#
#   PROMETHEUS_URL=http://prometheus-operated.monitoring:9090 ALERTMANAGER_URL=http://alertmanager-operated.monitoring:9093 \
#     examples/kubernetes/smoke.sh
set -euo pipefail
cd "$(dirname "$0")"
: "${PROMETHEUS_URL:?where Prometheus is, as seen from a pod}" "${ALERTMANAGER_URL:?where Alertmanager is}"

kubectl apply --filename namespaces.yaml --filename training-access.yaml
kubectl get namespace retrain >/dev/null 2>&1 || kubectl create namespace retrain
kubectl --namespace retrain get secret retrain-auth >/dev/null 2>&1 || kubectl --namespace retrain create secret generic retrain-auth \
  --from-literal=webhook="$(openssl rand -hex 24)" --from-literal=operator="$(openssl rand -hex 24)" --from-literal=reader="$(openssl rand -hex 24)"
helm upgrade --install --namespace retrain --values receiver-values.yaml --wait --timeout 5m retrain ../../charts/retrain-receiver
helm test --namespace retrain retrain

kubectl apply --filename check-drift.yaml --filename clean-up.yaml --filename serving-hpa.yaml
! kubectl get namespace kubeflow >/dev/null 2>&1 || kubectl apply --filename network-policies.yaml
kubectl --namespace retrain delete job smoke --ignore-not-found
kubectl --namespace retrain create job smoke --from=cronjob/check-drift
kubectl --namespace retrain wait --for condition=Complete --timeout 5m job/smoke

pod=$(kubectl --namespace retrain get pod --selector app.kubernetes.io/instance=retrain --output jsonpath='{.items[0].metadata.name}')
kubectl --namespace retrain exec "$pod" -- retrain-receiver doctor --prometheus "$PROMETHEUS_URL" --alertmanager "$ALERTMANAGER_URL"
