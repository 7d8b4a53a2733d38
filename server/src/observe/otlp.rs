//! Traces, sent to a collector: OTLP in protobuf over HTTP.
//!
//! A trace begins with a request, or above it (`traceparent`); what the database does in the background is in none.
//! Invariant: a request never waits for a collector. Spans queue up, a thread sends them; when the queue is full, or
//! the collector refuses, they are lost. They go to the endpoint of the configuration and nowhere else.
//! Cost: off, a comparison for each span; on, about 2 µs for each.
//! When not to use: over a network that others read; the endpoint is spoken to without encryption. Put a collector
//! beside the server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kithdb::{Error, Result};
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::{Layer, Registry};

use super::context::TraceParent;
use crate::VERSION;

/// No collector takes longer.
const SEND_TIME_MAX: Duration = Duration::from_secs(5);

/// When the process ends, what was not sent has so long.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);

/// Where a collector takes traces.
const PATH: &str = "/v1/traces";

/// Routes that are asked all the time, by machines.
const UNTRACED: [&str; 4] = ["/healthz", "/livez", "/readyz", "/metrics"];

/// Whether traces are sent. One process has one log, and so one of these.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Sends traces, until it is dropped: then it sends what is left.
#[derive(Debug)]
pub struct Tracing(SdkTracerProvider);

impl Drop for Tracing {
    fn drop(&mut self) {
        turn(false);
        if let Err(error) = self.0.shutdown_with_timeout(STOP_TIME_MAX) {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// Says whether traces are sent.
pub(super) fn turn(is_on: bool) {
    IS_ON.store(is_on, Ordering::Relaxed);
}

/// Whether traces are sent.
pub(super) fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// What listens to our spans and sends them.
///
/// # Errors
/// `InvalidArgument` on `otlp_endpoint`.
pub(super) fn layer(endpoint: &str, share: f64) -> Result<(Box<dyn Layer<Registry> + Send + Sync>, Tracing)> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address(endpoint)?)
        .with_timeout(SEND_TIME_MAX)
        .build()
        .map_err(|error| {
            Error::invalid("otlp_endpoint", format!("cannot be used: {error}")).with_source(error)
        })?;
    let sampler = OfRequests(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))));
    let resource = Resource::builder_empty()
        .with_service_name("kithdb")
        .with_attribute(KeyValue::new("service.version", VERSION))
        .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build();
    let is_ours = filter_fn(|metadata| {
        metadata.is_span() && *metadata.level() <= Level::INFO && metadata.target().starts_with("kithdb")
    });
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("kithdb"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(is_ours.with_max_level_hint(LevelFilter::INFO))
        .boxed();
    Ok((layer, Tracing(provider)))
}

/// The address of a collector.
fn address(endpoint: &str) -> Result<String> {
    let rest = endpoint.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let Some(rest) = rest else {
        let message = "must begin with http:// and a host: traces go to a collector beside the server, which may \
                       send them on encrypted";
        return Err(Error::invalid("otlp_endpoint", message));
    };
    let endpoint = endpoint.trim_end_matches('/');
    let has_path = rest.trim_end_matches('/').contains('/');
    Ok(if has_path { endpoint.to_owned() } else { format!("{endpoint}{PATH}") })
}

/// Puts the span of a request below one of another process.
pub(super) fn put_below(span: &Span, parent: TraceParent) {
    let TraceParent { trace_id, span_id, is_sampled } = parent;
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let trace_id = TraceId::from_bytes(trace_id.to_be_bytes());
    let span_id = SpanId::from_bytes(span_id.to_be_bytes());
    let remote = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    if let Err(error) = span.set_parent(Context::new().with_remote_span_context(remote)) {
        tracing::debug!(?error, "a request is not put below the span that it names");
    }
}

/// The trace that a span is part of.
pub(super) fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let of = context.span().span_context().clone();
    of.is_valid().then(|| of.trace_id().to_string())
}

/// The current span, as W3C's Trace Context names it to a server that is asked.
pub(super) fn traceparent() -> Option<String> {
    if !is_on() {
        return None;
    }
    let context = Span::current().context();
    let of = context.span().span_context().clone();
    of.is_valid().then(|| {
        let (trace, span, is_sampled) = (of.trace_id(), of.span_id(), u8::from(of.is_sampled()));
        format!("00-{trace}-{span}-{is_sampled:02x}")
    })
}

/// Takes requests, and what is below them.
#[derive(Clone, Debug)]
struct OfRequests(Sampler);

impl ShouldSample for OfRequests {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let is_below = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        let is_untraced = |attribute: &KeyValue| {
            attribute.key.as_str() == "http.route" && UNTRACED.contains(&&*attribute.value.as_str())
        };
        if (!is_below && *kind != SpanKind::Server) || attributes.iter().any(is_untraced) {
            let decision = SamplingDecision::Drop;
            return SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE };
        }
        self.0.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// Speaks to the collector, on the thread that sends.
#[derive(Debug)]
struct Client {
    agent: ureq::Agent,
    /// Whether the last attempt failed: the first of a series is a warning.
    is_failing: AtomicBool,
}

impl Client {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(SEND_TIME_MAX))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None);
        Self { agent: config.build().into(), is_failing: AtomicBool::new(false) }
    }

    fn send(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = answer.into_parts();
        Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        let failure = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        if let Some(error) = failure.filter(|_| !was_failing) {
            tracing::warn!(error, "the collector takes no traces: they are lost until it does");
        }
        Ok(answer?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_collector_or_one_of_its_addresses() {
        for (given, expected) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("http://h/otlp/v1/traces", "http://h/otlp/v1/traces"),
        ] {
            assert_eq!(address(given).expect("an address"), expected);
        }
        for wrong in ["", "localhost:4318", "https://h", "http://", "http:///v1", "grpc://h:4317"] {
            assert_eq!(address(wrong).expect_err(wrong).field(), Some("otlp_endpoint"));
        }
    }

    #[test]
    fn a_collector_that_is_not_there_harms_nothing() {
        let client = Client::new();
        let request = Request::post("http://127.0.0.1:9/v1/traces").body(Bytes::new()).expect("a request");
        let sent = client.send(request);
        assert!(sent.is_err());
    }
}
