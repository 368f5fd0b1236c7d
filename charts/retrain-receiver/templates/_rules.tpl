{{/* What the values change in an alert of rules/. */}}

{{/* Change a rule in place: (dict "rule" RULE "section" .Values.prometheusRule). */}}
{{- define "retrain-receiver.tuneRule" -}}
{{- $rule := .rule -}}
{{- $texts := dict -}}
{{- $action := .section.action | default "retrain" -}}
{{- if ne "retrain" $action -}}
{{- $asked := printf "action=%q" $action -}}
{{- $_ := set $rule "expr" ($rule.expr | replace "action=\"retrain\"" $asked) -}}
{{- $_ := set $texts "action=\"retrain\"" $asked -}}
{{- if hasKey ($rule.labels | default dict) "action" -}}
{{- $_ := set $rule.labels "action" $action -}}
{{- end -}}
{{- end -}}
{{- $own := index (.section.alerts | default dict) $rule.alert | default dict -}}
{{- if hasKey $own "threshold" -}}
{{- $before := regexFind "[0-9.]+$" $rule.expr -}}
{{- if not (and $before (has $rule.alert (list "HighModelMAE" "LowModelR2"))) -}}
{{- fail (printf "prometheusRule.alerts.%s.threshold: only HighModelMAE and LowModelR2 have one; add the alert to prometheusRule.disabledAlerts, and a rule of yours" $rule.alert) -}}
{{- end -}}
{{- $_ := set $rule "expr" (printf "%s%s" (trimSuffix $before $rule.expr) (toString $own.threshold)) -}}
{{- $_ := set $texts $before (toString $own.threshold) -}}
{{- end -}}
{{- with $own.for -}}
{{- /* The annotations say it in words: "10 minutes". */ -}}
{{- with $rule.for -}}
{{- $_ := set $texts (regexReplaceAll "^([0-9]+)m$" . "${1} minutes") $own.for -}}
{{- end -}}
{{- $_ := set $rule "for" . -}}
{{- end -}}
{{- with $own.keepFiringFor -}}
{{- $_ := set $rule "keep_firing_for" . -}}
{{- end -}}
{{- range $name, $text := $rule.annotations -}}
{{- range $before, $after := $texts -}}
{{- $text = replace $before $after $text -}}
{{- end -}}
{{- $_ := set $rule.annotations $name $text -}}
{{- end -}}
{{- end }}

{{/* The alerts of the rules and of the route belong together: an action that no matcher asks for never comes. */}}
{{- define "retrain-receiver.validateAction" -}}
{{- $action := ((.Values.prometheusRule).action) | default "retrain" -}}
{{- if and ((.Values.prometheusRule).enabled) ((.Values.alertmanagerConfig).enabled) -}}
{{- range (.Values.alertmanagerConfig).matchers -}}
{{- if and (eq "action" .name) (eq "=" (.matchType | default "=")) (ne $action .value) -}}
{{- fail (printf "alertmanagerConfig.matchers asks for action=%q, but the alerts have action=%q: set prometheusRule.action and alertmanagerConfig.matchers alike" .value $action) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
