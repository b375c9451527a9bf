// Sends 50 spans: node send.js json|protobuf|grpc URL PROJECT; prints their ids.
import { SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as Grpc } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as Json } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as Protobuf } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [kind, url, project] = process.argv.slice(2);
const Exporter = { json: Json, protobuf: Protobuf, grpc: Grpc }[kind];
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "openinference.project.name": project }),
  spanProcessors: [new BatchSpanProcessor(new Exporter({ url }))],
});
const tracer = provider.getTracer("interop", "1.0");

const ids = [];
for (let i = 0; i < 50; i++) {
  const span = tracer.startSpan("chat", { attributes: { turn: i, text: "café\u2028", score: 0.5 } });
  span.addEvent("note", { k: "v" });
  span.setStatus({ code: SpanStatusCode.ERROR, message: "it failed" });
  span.end();
  ids.push(span.spanContext().spanId);
}
await provider.forceFlush();
await provider.shutdown();
console.log(JSON.stringify(ids));
