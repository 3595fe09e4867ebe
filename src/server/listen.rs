//! Listening sockets, TCP and unix, and the streams they accept.

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use mio::net::{UnixListener, UnixStream};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("Could not create server TCP listening socket {address}: bind: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error("Could not create the unix socket {path}: {source}")]
    Unix { path: PathBuf, source: io::Error },
}

/// A socket that clients connect to.
pub enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens on `ip:port`; port 0 takes a free one.
    pub fn tcp(ip: IpAddr, port: u16) -> Result<Listener, ListenError> {
        let address = SocketAddr::new(ip, port);
        TcpListener::bind(address).map(Listener::Tcp).map_err(|source| ListenError::Tcp { address, source })
    }

    /// Listens on a unix socket, replacing a stale one.
    #[cfg(unix)]
    pub fn unix(path: &Path) -> Result<Listener, ListenError> {
        let failed = |source| ListenError::Unix { path: path.to_owned(), source };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        UnixListener::bind(path).map(|listener| Listener::Unix(listener, path.to_owned())).map_err(failed)
    }

    /// The port that was taken, of a TCP listener.
    pub fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            #[cfg(unix)]
            Listener::Unix(..) => None,
        }
    }

    /// The address that is listened at, of a TCP listener.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.ip()),
            #[cfg(unix)]
            Listener::Unix(..) => None,
        }
    }

    /// The next connection, with both its addresses as CLIENT LIST shows them. Err: WouldBlock if there is none.
    pub fn accept(&self) -> io::Result<(Stream, String, String)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nodelay(true)?;
                let here = stream.local_addr()?;
                Ok((Stream::Tcp(stream), peer.to_string(), here.to_string()))
            }
            #[cfg(unix)]
            Listener::Unix(listener, path) => {
                let (stream, _) = listener.accept()?;
                let name = format!("{}:0", path.display());
                Ok((Stream::Unix(stream), name.clone(), name))
            }
        }
    }

    pub fn source(&mut self) -> &mut dyn Source {
        match self {
            Listener::Tcp(listener) => listener,
            #[cfg(unix)]
            Listener::Unix(listener, _) => listener,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Listener::Unix(_, path) = self {
            // A socket file that stays behind does no harm: the next start replaces it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// One accepted connection.
pub enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Whether a connection that is being made stands by now. Err: it was refused.
    pub fn connected(&mut self) -> io::Result<bool> {
        match self {
            Stream::Tcp(stream) => {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                match stream.peer_addr() {
                    Ok(_) => stream.set_nodelay(true).map(|()| true),
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
                    Err(error) => Err(error),
                }
            }
            #[cfg(unix)]
            Stream::Unix(_) => Ok(true),
        }
    }

    /// Lets the system ask the other side for a sign of life after so many seconds of silence, and give it up after three
    /// that were not answered, a third of that apart (`anetKeepAlive`). 0: never.
    pub fn keep_alive(&self, secs: u64) {
        let Stream::Tcp(stream) = self else { return };
        if secs > 0 {
            let time = Duration::from_secs(secs);
            let interval = Duration::from_secs((secs / 3).max(1));
            let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3);
            // A system that cannot do it serves all the same.
            let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
        }
    }

    pub fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            #[cfg(unix)]
            Stream::Unix(stream) => stream,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
