{{/* The receiver's configuration: the value `config`, and what the chart knows better. Paths start at the file's folder. */}}

{{- define "retrain-receiver.config" -}}
{{- $config := deepCopy (.Values.config | default dict) -}}
{{- if hasKey $config "auth" -}}
{{- fail "config.auth is filled in by the chart: name the Secret in auth.existingSecret and its keys in auth.webhookKeys, auth.operatorKeys, auth.readerKeys, auth.tenantKeys" -}}
{{- end -}}
{{- $storage := $config.storage | default dict -}}
{{- if or (hasKey $storage "url") (hasKey $storage "url_file") -}}
{{- fail "config.storage.url is filled in by the chart: set database.type, and database.existingSecret for PostgreSQL" -}}
{{- end -}}
{{- if include "retrain-receiver.postgresql" . -}}
{{- $_ := set $storage "url_file" "secrets/database/url" -}}
{{- else -}}
{{- $_ := set $storage "url" "sqlite:////data/receiver.db" -}}
{{- end -}}
{{- $_ := set $config "storage" $storage -}}
{{- $_ := set $config "auth" (include "retrain-receiver.auth" . | fromYaml) -}}
{{- range $name, $target := $config.targets | default dict -}}
{{- if kindIs "map" $target.github -}}
{{- include "retrain-receiver.github" (dict "root" $ "name" $name "github" $target.github) -}}
{{- end -}}
{{- if kindIs "map" $target.kfp -}}
{{- include "retrain-receiver.kfp" (dict "root" $ "name" $name "kfp" $target.kfp) -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* The roles' tokens. An empty mapping closes everything but the probes. */}}
{{- define "retrain-receiver.auth" -}}
{{- $auth := dict -}}
{{- if ((.Values.auth).existingSecret) -}}
{{- range $role := list "webhook" "operator" "reader" -}}
{{- $tokens := list -}}
{{- range index $.Values.auth (printf "%sKeys" $role) | default list -}}
{{- $tokens = append $tokens (dict "name" . "token_file" (printf "secrets/auth/%s" .)) -}}
{{- end -}}
{{- if eq $role "reader" -}}
{{- range $key, $labels := $.Values.auth.tenantKeys -}}
{{- $tokens = append $tokens (dict "name" $key "token_file" (printf "secrets/auth/%s" $key) "labels" $labels) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $auth $role $tokens -}}
{{- end -}}
{{- end -}}
{{- toYaml $auth -}}
{{- end }}

{{/* Complete a GitHub target in place. */}}
{{- define "retrain-receiver.github" -}}
{{- $own := .root.Values.github | default dict -}}
{{- if not (or (hasKey .github "token_file") (hasKey .github "app")) -}}
{{- if not $own.existingSecret -}}
{{- fail (printf "config.targets.%s.github has no credentials: set github.existingSecret" .name) -}}
{{- end -}}
{{- if $own.appId -}}
{{- $app := dict "private_key_file" "secrets/github/private-key" -}}
{{- $_ := set $app "id" (kindIs "string" $own.appId | ternary $own.appId ($own.appId | int64 | toString)) -}}
{{- $_ := set $app "installation_id" ($own.installationId | int64) -}}
{{- $_ := set .github "app" $app -}}
{{- else -}}
{{- $_ := set .github "token_file" "secrets/github/token" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Complete a Kubeflow target in place. */}}
{{- define "retrain-receiver.kfp" -}}
{{- if eq "local" (.kfp.endpoint | default "local") -}}
{{- fail (printf "config.targets.%s.kfp.endpoint: pipelines run on this machine only outside of clusters; write http://ml-pipeline.kubeflow.svc:8888" .name) -}}
{{- end -}}
{{- $file := trimPrefix "pipelines/" (.kfp.pipeline | default "") -}}
{{- if and (hasPrefix "pipelines/" (.kfp.pipeline | default "")) (not (hasKey (.root.Values.pipelines | default dict) $file)) -}}
{{- fail (printf "config.targets.%s.kfp.pipeline names a file that is not there: add %s to pipelines" .name $file) -}}
{{- end -}}
{{- $token := ((.root.Values.kubeflow).token) | default dict -}}
{{- if and $token.enabled (not (hasKey .kfp "token_file")) -}}
{{- $_ := set .kfp "token_file" (include "retrain-receiver.kubeflowTokenPath" .root) -}}
{{- end -}}
{{- end }}

{{- define "retrain-receiver.kubeflowTokenPath" -}}
{{- (((.Values.kubeflow).token).path) | default "/var/run/secrets/kubeflow/pipelines/token" -}}
{{- end }}

{{/* Whether any target is of this kind: (dict "root" $ "kind" "github"). */}}
{{- define "retrain-receiver.hasTarget" -}}
{{- $kind := .kind -}}
{{- range ((.root.Values.config).targets) | default dict -}}
{{- if kindIs "map" . -}}{{- if hasKey . $kind -}}true{{- end -}}{{- end -}}
{{- end -}}
{{- end }}

{{/* One projected volume holds the configuration, compiled pipelines and all secrets, each key by name: nothing else of a
Secret is mounted. Readable for any UID, because OpenShift chooses one. */}}
{{- define "retrain-receiver.configurationVolume" -}}
{{- $fullname := include "retrain-receiver.fullname" . -}}
name: configuration
projected:
  defaultMode: 0444
  sources:
    - configMap:
        name: {{ $fullname }}
        items:
          - {key: receiver.yaml, path: receiver.yaml}
    {{- if .Values.pipelines }}
    - configMap:
        name: {{ $fullname }}-pipelines
        items:
          {{- range $name, $_ := .Values.pipelines }}
          - {key: {{ $name | quote }}, path: {{ printf "pipelines/%s" $name | quote }}}
          {{- end }}
    {{- end }}
    {{- if ((.Values.auth).existingSecret) }}
    {{- with .Values.auth }}
    {{- $keys := concat (.webhookKeys | default list) (.operatorKeys | default list) (.readerKeys | default list) (keys (.tenantKeys | default dict)) | uniq | sortAlpha }}
    {{- if $keys }}
    - secret:
        name: {{ .existingSecret }}
        items:
          {{- range $keys }}
          - {key: {{ . | quote }}, path: {{ printf "secrets/auth/%s" . | quote }}}
          {{- end }}
    {{- end }}
    {{- end }}
    {{- end }}
    {{- if contains "secrets/github/" (include "retrain-receiver.config" .) }}
    {{- with .Values.github }}
    - secret:
        name: {{ .existingSecret }}
        items:
          {{- if .appId }}
          - {key: {{ .privateKeyKey | default "private-key.pem" | quote }}, path: secrets/github/private-key}
          {{- else }}
          - {key: {{ .tokenKey | default "token" | quote }}, path: secrets/github/token}
          {{- end }}
    {{- end }}
    {{- end }}
    {{- if include "retrain-receiver.postgresql" . }}
    - secret:
        name: {{ required "database.type: postgresql needs the database's address: set database.existingSecret" ((.Values.database).existingSecret) }}
        items:
          - {key: {{ ((.Values.database).urlKey) | default "url" | quote }}, path: secrets/database/url}
    {{- end }}
{{- end }}
