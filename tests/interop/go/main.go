// Sends 50 spans: send grpc|http HOST:PORT PROJECT gzip|plain; prints their ids.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Longer than a daemon takes to end and another to start, on any machine.
const timeout = time.Minute

func exporter(ctx context.Context, kind, address, project string, compressed bool) (*otlptrace.Exporter, error) {
	headers := map[string]string{"x-project-name": project}
	if kind == "grpc" {
		options := []otlptracegrpc.Option{
			otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure(), otlptracegrpc.WithHeaders(headers),
			otlptracegrpc.WithTimeout(timeout),
		}
		if compressed {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure(), otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithTimeout(timeout),
	}
	if compressed {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	return otlptracehttp.New(ctx, options...)
}

func main() {
	ctx := context.Background()
	sender, err := exporter(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4] == "gzip")
	if err != nil {
		log.Fatal(err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(sender, trace.WithExportTimeout(timeout)))
	tracer := provider.Tracer("interop")
	var ids []string
	for i := 0; i < 50; i++ {
		_, span := tracer.Start(ctx, "chat")
		span.SetAttributes(attribute.Int("turn", i), attribute.String("text", "café\u2028"))
		span.SetStatus(codes.Error, "it failed")
		span.End()
		ids = append(ids, span.SpanContext().SpanID().String())
	}
	if err := provider.ForceFlush(ctx); err != nil {
		log.Fatal(err)
	}
	if err := provider.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(ids); err != nil {
		log.Fatal(err)
	}
}
