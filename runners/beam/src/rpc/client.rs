//! Calls to a service.

use std::time::Duration;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use futures::{Stream, StreamExt as _};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// Longer than a server on its way up takes to listen; whoever has none hears of it soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How an error begins that a service has answered with.
const REFUSED: &str = "a service of Beam does not do what it is asked: ";

/// What a service answers to a stream of messages.
#[derive(Debug)]
pub(crate) struct Answers<A> {
    stream: Streaming<A>,
    /// Is dropped with the stream, and ends the messages.
    _is_read: oneshot::Sender<()>,
}

/// A connection to the services at one address, as one worker or as a client.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    grpc: Grpc<Channel>,
    url: String,
    worker_id: Option<MetadataValue<Ascii>>,
}

impl Rpc {
    /// Connects to `HOST:PORT`.
    ///
    /// # Errors
    /// An address that is none, or where nobody answers.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let address = url.strip_prefix("http://").unwrap_or(url);
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.map_err(|why| unreachable(url, &why))?;
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await;
        let channel = channel.map_err(|why| unreachable(url, &why))?;
        // Runners send elements of any size, and so do we.
        let grpc = Grpc::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Ok(Self { grpc, url: url.to_owned(), worker_id: None })
    }

    /// The same, saying with each call which worker calls.
    ///
    /// # Errors
    /// An id that is no text of a header.
    pub(crate) fn for_worker(mut self, id: &str) -> Result<Self> {
        let id = id.parse::<MetadataValue<Ascii>>();
        self.worker_id = Some(id.map_err(|why| unreachable(&self.url, &why))?);
        Ok(self)
    }

    /// Asks once and is answered once.
    ///
    /// # Errors
    /// What the service says, or a connection that is gone.
    pub(crate) async fn unary<Q, A>(&self, path: &'static str, message: Q) -> Result<A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready(path).await?;
        let (request, path) = (self.request(message), PathAndQuery::from_static(path));
        let answer = grpc.unary(request, path.clone(), ProstCodec::<Q, A>::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| self.refused(path.path(), &status))
    }

    /// Sends a stream of messages and is answered by another.
    ///
    /// Some servers say nothing at all before their first message: this returns only then. When
    /// the answers are dropped, `messages` end too: servers that stop wait for both sides.
    ///
    /// # Errors
    /// What the service says, or a connection that is gone.
    pub(crate) async fn stream<Q, A>(
        &self,
        path: &'static str,
        messages: impl Stream<Item = Q> + Send + 'static,
    ) -> Result<Answers<A>>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready(path).await?;
        let (is_read, dropped) = oneshot::channel();
        let messages = messages.take_until(dropped);
        let (request, path) = (self.request(messages), PathAndQuery::from_static(path));
        let answer = grpc.streaming(request, path.clone(), ProstCodec::<Q, A>::default()).await;
        let answer = answer.map_err(|status| self.refused(path.path(), &status))?;
        Ok(Answers { stream: answer.into_inner(), _is_read: is_read })
    }

    /// The next message of a stream; `None` where it has ended.
    ///
    /// # Errors
    /// What the service says, or a connection that is gone.
    pub(crate) async fn next<A>(&self, path: &str, answers: &mut Answers<A>) -> Result<Option<A>> {
        answers.stream.message().await.map_err(|status| self.refused(path, &status))
    }

    /// The address, as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn ready(&self, path: &str) -> Result<Grpc<Channel>> {
        let mut grpc = self.grpc.clone();
        let ready = grpc.ready().await;
        ready.map_err(|why| unreachable(&self.url, &why).at("call", path))?;
        Ok(grpc)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(id) = &self.worker_id {
            request.metadata_mut().insert("worker_id", id.clone());
        }
        request
    }

    fn refused(&self, path: &str, status: &Status) -> Error {
        let kind = match status.code() {
            Code::Unavailable | Code::DeadlineExceeded => ErrorKind::Transient,
            Code::Cancelled => ErrorKind::Cancelled,
            Code::Unimplemented => ErrorKind::Unsupported,
            _ => ErrorKind::ResourceExhausted,
        };
        // Where the connection itself has failed, the status says no more than that.
        let broken = std::error::Error::source(status).map(|why| root_of(why).to_string());
        let says = broken.unwrap_or_else(|| match status.message() {
            "" => format!("{:?}", status.code()),
            text => text.to_owned(),
        });
        let message = format!("{REFUSED}{says}");
        let error = Error::new(ErrorCode::LAUNCHER_FAILED, kind, message);
        let error = error.at("endpoint", &self.url).at("call", path);
        if status.code() == Code::Unimplemented {
            return error.mend("name the endpoint of a job server of Beam");
        }
        error
    }
}

/// What a service, or the connection to it, says of a call that has failed.
pub(crate) fn said(error: &Error) -> &str {
    error.message().strip_prefix(REFUSED).unwrap_or(error.message())
}

/// The innermost cause: outer errors say only that they are of transport.
fn root_of<'a>(
    why: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let mut root = why;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

fn unreachable(url: &str, why: &(dyn std::error::Error + 'static)) -> Error {
    let message = format!("no service of Beam answers: {}", root_of(why));
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::NotFound, message)
        .at("endpoint", url)
        .mend("start the runner's job server, or name its address as HOST:PORT")
}

/// A queue of messages to be sent, and the stream that sends them; it ends when the sender is dropped.
pub(crate) fn queue<T: Send>(room: usize) -> (mpsc::Sender<T>, impl Stream<Item = T> + Send) {
    let (sender, receiver) = mpsc::channel(room);
    let stream = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|message| (message, receiver))
    });
    (sender, stream)
}
