//! A plugin: `plugin-rust serve DIR` answers until its input ends, `plugin-rust ask DIR TEXT` asks once.

use std::error::Error;

use netipc::Endpoint;
use netipc::client::ClientConfig;
use netipc::server::ServerConfig;
use netipc_services::string_reverse;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "serve", dir] => serve(&Endpoint::new(dir, string_reverse::SERVICE)?),
        [_, "ask", dir, text] => ask(Endpoint::new(dir, string_reverse::SERVICE)?, text),
        _ => Err("say serve DIR, or ask DIR TEXT".into()),
    }
}

fn serve(endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let server = string_reverse::Server::bind(endpoint, ServerConfig::default())?;
    let running = server.spawn(|request, response| {
        let reversed: Vec<u8> = request.bytes().iter().rev().copied().collect();
        Ok(response.bytes(&reversed).finish()?)
    })?;
    println!("ready");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(running.stop()?)
}

fn ask(endpoint: Endpoint, text: &str) -> Result<(), Box<dyn Error>> {
    let mut client = string_reverse::Client::new(endpoint, ClientConfig::default());
    client.refresh();
    let answer = client.call(|request| request.bytes(text).finish())?;
    println!("{}", answer.bytes());
    Ok(())
}
