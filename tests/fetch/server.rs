//! A server for one file that answers as it is told.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// How a request is answered.
#[derive(Clone, Copy)]
pub enum Answer {
    /// All that was asked for.
    Whole,
    /// So many bytes of it; then the connection ends.
    Cut(usize),
    /// A part of the file, a pause, and so on.
    Slow(Duration),
    /// So many bytes; then nothing, and the connection stays.
    Stall(usize),
    /// All of the file, though a range of it was asked for.
    FromTheBeginning,
    /// 404
    Missing,
}

/// What was asked for: the path, and the byte that was to be the first.
type Request = (String, Option<u64>);

/// A server in threads of its own, which end with the test's process.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server for these bytes. The first request gets the first answer, and so on; the last one is repeated.
    pub fn new<const N: usize>(bytes: Vec<u8>, answers: [Answer; N]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Request>>>::default());
        let (requests, bytes) = (asked.clone(), Arc::new(bytes));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(std::result::Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let mut requests = requests.lock().unwrap();
                let (answer, bytes, from) = (answers[requests.len().min(N - 1)], bytes.clone(), request.1);
                requests.push(request);
                // The client may go away at any time.
                thread::spawn(move || drop(write(stream, &bytes, answer, from)));
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(std::result::Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut from = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.split('-').next()?.parse().ok();
        }
    }
    Some((path, from))
}

fn write(mut stream: TcpStream, bytes: &[u8], answer: Answer, from: Option<u64>) -> std::io::Result<()> {
    if matches!(answer, Answer::Missing) {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnone\n");
    }
    let from = if matches!(answer, Answer::FromTheBeginning) { None } else { from };
    let (first, size) = (from.unwrap_or(0) as usize, bytes.len());
    if first >= size {
        return stream.write_all(
            format!(
                "HTTP/1.1 416 Range\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .as_bytes(),
        );
    }
    let body = &bytes[first..];
    let status = match from {
        None => "200 OK".to_owned(),
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{size}", size - 1),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    match answer {
        Answer::Cut(bytes) => stream.write_all(&body[..bytes.min(body.len())]),
        Answer::Slow(pause) => {
            for chunk in body.chunks(40_000) {
                stream.write_all(chunk)?;
                thread::sleep(pause);
            }
            Ok(())
        }
        Answer::Stall(bytes) => {
            stream.write_all(&body[..bytes.min(body.len())])?;
            thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        _ => stream.write_all(body),
    }
}
