//! HTTP/1.1 by hand over one connection: what a load needs and no more, so that the client costs little
//! beside the server that is measured.

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

/// A connection that is kept open from request to request.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
    authorization: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// A header's value; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

impl Connection {
    /// Opens one. With `authorization`, every request has that header.
    pub(crate) fn open(host: SocketAddr, authorization: Option<&str>) -> Self {
        let stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::with_capacity(READ, stream);
        Self { stream, host, authorization: authorization.map(str::to_owned) }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.write(method, target, headers, body).unwrap();
        let mut answer = self.head();
        if method != "HEAD" {
            let length =
                answer.header("content-length").map_or(0, |length| length.parse().unwrap());
            answer.body.resize(length, 0);
            self.stream.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// Sends a request whose answer has to have this status.
    #[track_caller]
    pub(crate) fn expect(
        &mut self,
        status: u16,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answer = self.send(method, target, headers, body);
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{method} {target}: {said}");
        answer
    }

    /// Fetches and throws away; says how many bytes there were.
    pub(crate) fn drain(&mut self, target: &str) -> u64 {
        self.write("GET", target, &[], b"").unwrap();
        let answer = self.head();
        assert_eq!(answer.status, 200, "GET {target}");
        let length: u64 = answer.header("content-length").unwrap().parse().unwrap();
        let mut left = length;
        while left > 0 {
            let piece = self.stream.fill_buf().unwrap().len() as u64;
            assert!(piece > 0, "GET {target} broke off");
            let piece = piece.min(left);
            self.stream.consume(usize::try_from(piece).unwrap());
            left -= piece;
        }
        length
    }

    fn write(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(authorization) = &self.authorization {
            let _ = write!(head, "Authorization: {authorization}\r\n");
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    }

    fn head(&mut self) -> Answer {
        let mut lines = std::iter::from_fn(|| {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
        });
        let status = lines.next().unwrap();
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Answer { status, headers: headers.collect(), body: Vec::new() }
    }
}

/// Large bodies are read in few calls, so that the reading is not what is measured.
const READ: usize = 256 * 1024;
