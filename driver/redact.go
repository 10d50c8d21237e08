package driver

import "strings"

// Redact returns a server's URL, or address, without the user and password that
// it may name: what stands there before the last @.
func Redact(server string) string {
	at := strings.LastIndexByte(server, '@')
	if at < 0 {
		return server
	}
	if scheme, _, ok := strings.Cut(server, "://"); ok && !strings.ContainsAny(scheme, ":@/") {
		return scheme + "://***" + server[at:]
	}
	return "***" + server[at:]
}
