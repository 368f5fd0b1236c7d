{{/* Where runs are started: RBAC knows no selectors and no patterns, so that each namespace gets a Role of its own. */}}

{{/* The namespaces of kubeflow.rbac, each once, as a JSON list. */}}
{{- define "retrain-receiver.kubeflowNamespaces" -}}
{{- $rbac := ((.Values.kubeflow).rbac) | default dict -}}
{{- $names := list -}}
{{- range $rbac.namespaces -}}
{{- $names = concat $names (include "retrain-receiver.namespaceRange" . | fromJsonArray) -}}
{{- end -}}
{{- with (($rbac.namespaceSelector).matchLabels) -}}
{{- $selected := include "retrain-receiver.namespacesLabelled" (dict "labels" .) | fromJsonArray -}}
{{- if not $selected -}}
{{- fail "kubeflow.rbac.namespaceSelector finds no namespace. Either none has these labels, or no cluster was asked (helm template, Argo CD, --dry-run=client): set kubeflow.rbac.namespaces instead, where kubeflow-user{01..20} is twenty of them" -}}
{{- end -}}
{{- $names = concat $names $selected -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end }}

{{/* The names that one entry means, as a JSON list: `anna` is one, `kubeflow-user{01..20}` is twenty. */}}
{{- define "retrain-receiver.namespaceRange" -}}
{{- $range := "^([^{}]*)\\{([0-9]{1,9})\\.\\.([0-9]{1,9})\\}([^{}]*)$" -}}
{{- $names := list . -}}
{{- if regexMatch $range . -}}
{{- $from := regexReplaceAll $range . "${2}" -}}
{{- $to := regexReplaceAll $range . "${3}" -}}
{{- if or (gt (atoi $from) (atoi $to)) (ge (sub (atoi $to) (atoi $from)) 1000) -}}
{{- fail (printf "kubeflow.rbac.namespaces has %q: set a range that counts upwards, over at most 1000 names" .) -}}
{{- end -}}
{{- $names = list -}}
{{- $head := regexReplaceAll $range . "${1}" -}}
{{- $tail := regexReplaceAll $range . "${4}" -}}
{{- range untilStep (atoi $from) (add1 (atoi $to) | int) 1 -}}
{{- $names = append $names (printf "%s%0*d%s" $head (len $from) . $tail) -}}
{{- end -}}
{{- end -}}
{{- range $names -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" .) -}}
{{- fail (printf "kubeflow.rbac.namespaces has %q, which is no namespace's name: set names, or ranges as in kubeflow-user{01..20}" .) -}}
{{- end -}}
{{- end -}}
{{- $names | toJson -}}
{{- end }}
