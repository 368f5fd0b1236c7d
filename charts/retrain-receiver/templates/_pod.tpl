{{/* The pod, the same for StatefulSet and Deployment. */}}

{{- define "retrain-receiver.podTemplate" -}}
{{- $postgresql := include "retrain-receiver.postgresql" . -}}
{{- $persistence := .Values.persistence | default dict -}}
metadata:
  labels:
    {{- include "retrain-receiver.labels" (dict "root" . "labels" .Values.podLabels) | nindent 4 }}
    {{- include "retrain-receiver.storeLabel" . | nindent 4 }}
  annotations:
    {{- /* A changed configuration is a new pod; changed secrets are read again by the running one. */}}
    {{- $checksum := print (include "retrain-receiver.config" .) (toYaml .Values.pipelines) | sha256sum }}
    {{- toYaml (merge (dict "checksum/config" $checksum) (.Values.podAnnotations | default dict)) | nindent 4 }}
spec:
  serviceAccountName: {{ include "retrain-receiver.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds | default 60 | int }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: receiver
      image: {{ include "retrain-receiver.image" . | quote }}
      imagePullPolicy: {{ ((.Values.image).pullPolicy) | default "IfNotPresent" }}
      args: [serve, --config, /etc/retrain-receiver/receiver.yaml, --listen, {{ printf "%s:8080" (.Values.listenHost | default "0.0.0.0") | quote }}]
      env:
        {{- include "retrain-receiver.env" . | trim | nindent 8 }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: 8080, protocol: TCP}
      startupProbe:
        {{- include "retrain-receiver.probe" (dict "path" "/-/healthy" "timing" .Values.startupProbe) | nindent 8 }}
      livenessProbe:
        {{- include "retrain-receiver.probe" (dict "path" "/-/healthy" "timing" .Values.livenessProbe) | nindent 8 }}
      readinessProbe:
        {{- include "retrain-receiver.probe" (dict "path" "/-/ready" "timing" .Values.readinessProbe) | nindent 8 }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: configuration, mountPath: /etc/retrain-receiver, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if not $postgresql }}
        - {name: data, mountPath: /data}
        {{- end }}
        {{- if (((.Values.kubeflow).token).enabled) }}
        - {name: kubeflow-token, mountPath: {{ include "retrain-receiver.kubeflowTokenPath" . | dir | quote }}, readOnly: true}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - {{ include "retrain-receiver.configurationVolume" . | nindent 6 | trim }}
    - name: tmp
      emptyDir: {sizeLimit: {{ .Values.tmpSizeLimit | default "64Mi" | quote }}}
    {{- if not $postgresql }}
    - name: data
      {{- if $persistence.enabled }}
      persistentVolumeClaim:
        claimName: {{ include "retrain-receiver.claimName" . }}
      {{- else }}
      emptyDir: {sizeLimit: {{ $persistence.size | default "1Gi" | quote }}}
      {{- end }}
    {{- end }}
    {{- if (((.Values.kubeflow).token).enabled) }}
    - name: kubeflow-token
      projected:
        sources:
          - serviceAccountToken:
              audience: {{ .Values.kubeflow.token.audience | default "pipelines.kubeflow.org" }}
              expirationSeconds: {{ .Values.kubeflow.token.expirationSeconds | default 7200 | int }}
              path: {{ include "retrain-receiver.kubeflowTokenPath" . | base | quote }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and $postgresql .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range .Values.topologySpreadConstraints }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not (hasKey . "labelSelector") }}
      labelSelector:
        matchLabels:
          {{- include "retrain-receiver.selectorLabels" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "retrain-receiver.probe" -}}
httpGet: {path: {{ .path }}, port: http}
{{- with omit (.timing | default dict) "httpGet" "exec" "tcpSocket" "grpc" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The chart's environment and extraEnv, each name once: Helm 4 refuses doubles. */}}
{{- define "retrain-receiver.env" -}}
{{- /* For `kubectl exec`: `retrain-receiver models` finds the receiver and its token. */ -}}
{{- $own := dict "RETRAIN_RECEIVER_URL" (eq "[::]" (.Values.listenHost | default "") | ternary "http://[::1]:8080" "http://127.0.0.1:8080") -}}
{{- $auth := .Values.auth | default dict -}}
{{- $keys := concat ($auth.operatorKeys | default list) ($auth.readerKeys | default list) -}}
{{- if and $auth.existingSecret $keys -}}
{{- $_ := set $own "RETRAIN_RECEIVER_TOKEN_FILE" (printf "/etc/retrain-receiver/secrets/auth/%s" (first $keys)) -}}
{{- end -}}
{{- if (((.Values.kubeflow).token).enabled) -}}
{{- $_ := set $own "KF_PIPELINES_SA_TOKEN_PATH" (include "retrain-receiver.kubeflowTokenPath" .) -}}
{{- end -}}
{{- range list "RETRAIN_RECEIVER_URL" "RETRAIN_RECEIVER_TOKEN_FILE" "KF_PIPELINES_SA_TOKEN_PATH" -}}
{{- if hasKey ($.Values.extraEnv | default dict) . -}}
{{- fail (printf "extraEnv.%s is set by the chart: remove extraEnv.%s" . .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := merge $own (.Values.extraEnv | default dict) }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}
