// A plugin: `plugin-go serve DIR` answers until its input ends, `plugin-go ask DIR TEXT` asks once.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"slices"

	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("say serve DIR, or ask DIR TEXT")
	}
	endpoint, err := service.NewEndpoint(os.Args[2], stringreverse.Service)
	switch {
	case err != nil:
	case os.Args[1] == "serve" && len(os.Args) == 3:
		err = serve(endpoint)
	case os.Args[1] == "ask" && len(os.Args) == 4:
		err = ask(endpoint, os.Args[3])
	default:
		log.Fatal("say serve DIR, or ask DIR TEXT")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(endpoint service.Endpoint) error {
	server, err := stringreverse.NewServer(endpoint, service.ServerConfig{}, reverse)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return server.Stop()
}

func reverse(_ *service.Context, request stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
	text := slices.Clone(request.Bytes())
	slices.Reverse(text)
	_, err := response.BytesBytes(text).Finish()
	return err
}

func ask(endpoint service.Endpoint, text string) error {
	client := stringreverse.NewClient(endpoint, service.ClientConfig{})
	defer client.Close()
	client.Refresh(context.Background())
	answer, err := client.Call(context.Background(), stringreverse.Request{Bytes: text})
	if err != nil {
		return err
	}
	fmt.Println(answer.Bytes().String())
	return nil
}
