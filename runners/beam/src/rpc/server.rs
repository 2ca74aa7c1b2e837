//! Services that others call: the pool of workers.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// What becomes of a call.
pub(crate) type Answer = BoxFuture<'static, http::Response<Body>>;

/// Answers calls by their path.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one call.
    fn call(&self, path: &str, request: http::Request<Body>) -> Answer;
}

/// Serves all who connect, until it is dropped.
pub(crate) async fn serve(listener: TcpListener, service: Arc<dyn Service>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection is not accepted");
                continue;
            }
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let path = request.uri().path().to_owned();
                let answer = service.call(&path, request.map(Body::new));
                async { Ok::<_, Infallible>(answer.await) }
            });
            let connection = http2::Builder::new(TokioExecutor::new());
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), answer).await {
                tracing::debug!(%error, "a connection has ended");
            }
        });
    }
}

/// Answers a call of one message by one.
pub(crate) fn unary<Q, A, F>(
    request: http::Request<Body>,
    answer: impl FnOnce(Q) -> F + Send + 'static,
) -> Answer
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    Box::pin(async move {
        let codec = ProstCodec::<A, Q>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(usize::MAX);
        grpc.unary(Unary(Some(answer)), request).await
    })
}

struct Unary<F>(Option<F>);

impl<Q, A, F, W> UnaryService<Q> for Unary<W>
where
    W: FnOnce(Q) -> F,
    A: Message + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    type Response = A;
    type Future = BoxFuture<'static, Result<Response<A>, Status>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let Some(answer) = self.0.take() else {
            return Box::pin(async { Err(Status::internal("a call is answered once")) });
        };
        let answer = answer(request.into_inner());
        Box::pin(async { answer.await.map(Response::new) })
    }
}

/// Answers a call of a stream of messages by another stream.
#[cfg(test)]
pub(crate) fn streaming<Q, A, S>(
    request: http::Request<Body>,
    answer: impl FnOnce(tonic::Streaming<Q>) -> S + Send + 'static,
) -> Answer
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    S: futures::Stream<Item = Result<A, Status>> + Send + 'static,
{
    Box::pin(async move {
        let codec = ProstCodec::<A, Q>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(usize::MAX);
        grpc.streaming(Streams(Some(answer)), request).await
    })
}

#[cfg(test)]
struct Streams<F>(Option<F>);

#[cfg(test)]
impl<Q, A, S, W> tonic::server::StreamingService<Q> for Streams<W>
where
    W: FnOnce(tonic::Streaming<Q>) -> S,
    A: Message + 'static,
    S: futures::Stream<Item = Result<A, Status>> + Send + 'static,
{
    type Response = A;
    type ResponseStream = S;
    type Future = futures::future::Ready<Result<Response<S>, Status>>;

    fn call(&mut self, request: Request<tonic::Streaming<Q>>) -> Self::Future {
        let answer = self.0.take().map(|answer| Response::new(answer(request.into_inner())));
        futures::future::ready(answer.ok_or_else(|| Status::internal("answered once")))
    }
}
