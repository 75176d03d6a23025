// Probe answers over HTTP what only a pod can know: whether it runs, and what a name resolves to.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

func main() {
	http.HandleFunc("/ready", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(answer, "ready")
	})
	http.HandleFunc("/resolve", func(answer http.ResponseWriter, request *http.Request) {
		addresses, err := net.DefaultResolver.LookupHost(request.Context(), request.URL.Query().Get("name"))
		if err != nil {
			http.Error(answer, err.Error(), http.StatusNotFound)
			return
		}
		fmt.Fprintln(answer, addresses)
	})
	server := http.Server{Addr: ":8080", ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
