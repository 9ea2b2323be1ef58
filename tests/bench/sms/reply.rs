//! What shows how fast the applications can be: answers each request at once, and does nothing else.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// As long as what Tandem answers.
const ANSWER: &str = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 104\r\n\r\n\
    {\"accepted\":1,\"messages\":[{\"id\":\"e714f466da244ad8240399c0\",\"parts\":1,\"to\":\"+447700900002\"}],\"refused\":0}    ";

/// Serves until it is killed.
pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that fails ends alone; who posts notices.
        tokio::task::spawn_local(answer_all(stream));
    }
}

/// One request is under way on a connection, and it comes in one piece.
async fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; 4096];
    while stream.read(&mut request).await? > 0 {
        stream.write_all(ANSWER.as_bytes()).await?;
    }
    Ok(())
}
