//! The address that is served: it can be shut for a while, and nobody else gets it meanwhile.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address, and who listens there.
#[derive(Debug)]
pub(super) struct Door {
    addr: SocketAddr,
    listener: Option<TcpListener>,
    /// Bound to the same address and never listening: while nobody listens, connections are refused, and the system gives
    /// the port to nobody else. Linux only; elsewhere two sockets can't have one address.
    _keeps_the_port: Option<TcpSocket>,
}

impl Door {
    /// Listens there; port 0 is any free one.
    pub(super) fn at(addr: SocketAddr) -> io::Result<Self> {
        let keeper = if cfg!(target_os = "linux") { Some(bound(addr)?) } else { None };
        let addr = keeper.as_ref().map_or(Ok(addr), TcpSocket::local_addr)?;
        let listener = bound(addr)?.listen(BACKLOG)?;
        Ok(Self { addr: listener.local_addr()?, listener: Some(listener), _keeps_the_port: keeper })
    }

    /// Where it is.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next connection; none comes while it is shut.
    pub(super) async fn accept(&self) -> io::Result<TcpStream> {
        match &self.listener {
            Some(listener) => listener.accept().await.map(|(stream, _)| stream),
            None => std::future::pending().await,
        }
    }

    /// From now on connections are refused.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// Listens again.
    pub(super) async fn open(&mut self) {
        while self.listener.is_none() {
            match bound(self.addr).and_then(|socket| socket.listen(BACKLOG)) {
                Ok(listener) => self.listener = Some(listener),
                Err(error) => {
                    tracing::warn!(%error, "the sandbox can't listen at its address again yet");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

fn bound(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}
