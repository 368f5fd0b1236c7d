#!/usr/bin/env bash
# Builds the example's images and installs MLflow, a first model and what serves it, on the cluster of your present
# kubectl context. The receiver comes after that: smoke.sh.
#
#   STORAGE_DIR=$HOME/mlops-data examples/kubernetes/deploy.sh
set -euo pipefail
cd "$(dirname "$0")"
STORAGE_DIR="${STORAGE_DIR:-/var/lib/mlops}"

# The names that the manifests have. Elsewhere than on one node: push them, and write your registry into the manifests.
images=(ghcr.io/retrain-receiver/example-{model-server,exporter,retrain}:0.2.0)
docker build --target model-server --tag "${images[0]}" ../model-server
docker build --target exporter --tag "${images[1]}" ../model-server
docker build --tag "${images[2]}" ../pipelines
if command -v k3s >/dev/null; then # its containerd does not see Docker's images
  docker save "${images[@]}" | sudo k3s ctr images import -
fi

kubectl apply --filename namespaces.yaml
sudo install -d -m 0770 -o 65532 -g 65532 "$STORAGE_DIR" # a hostPath belongs to whom it belonged before
sed "s|/var/lib/mlops|$STORAGE_DIR|" storage.yaml | kubectl apply --filename -
kubectl apply --filename training-access.yaml
kubectl apply --filename mlflow.yaml --filename first-model.yaml
kubectl --namespace training wait --for condition=Complete --timeout 5m job/first-model-user01
if kubectl get customresourcedefinition inferenceservices.serving.kserve.io >/dev/null 2>&1; then
  kubectl apply --filename ../model-server/inferenceservice.yaml
  kubectl --namespace serving wait --for condition=Ready --timeout 5m inferenceservice/user01
else
  kubectl apply --filename serving.yaml
  kubectl --namespace serving rollout status --timeout 5m deployment/user01-predictor
fi
kubectl --namespace training rollout status --timeout 5m deployment/mlflow
