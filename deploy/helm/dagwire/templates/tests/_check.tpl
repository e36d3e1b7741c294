{{/* `helm test`: Dagit answers, it is ready, and every code location of the workspace has loaded. */}}
{{- define "dagwire.test.pod" -}}
container:
  command: [python, -c, {{ .Files.Get "files/check.py" | toJson }}, {{ include "dagwire.dagit.address" . | quote }}, {{ .Values.test.timeoutSeconds | int | quote }}]
spec: {restartPolicy: Never}
{{- end -}}
