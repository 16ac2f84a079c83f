//! The tutorial's service at work: which autonomous system announces an address?
//!
//! ```text
//! consumer: RequestBuilder ──► request ──► RequestView :provider
//! consumer: ResponseView ◄── response ◄── ResponseBuilder :provider
//! ```
//!
//! Both sides are here, in one process, and hand each other bytes. All is made up: the prefixes are
//! those that RFC 5737 and RFC 3849 keep for documentation, the numbers those of RFC 5398.

use std::error::Error;
use std::net::IpAddr;

use netipc::codec::{BuildError, ResponseBudget};
use netipc_services::ip_to_asn::{
    RequestBuilder, RequestView, ResponseBuilder, ResponseView, Status,
};

/// What the provider knows: prefix, its length in bits, number, name and country.
const TABLE: [(&str, u32, u32, &str, &str); 5] = [
    ("192.0.2.0", 24, 64496, "Example Transit", "NL"),
    ("192.0.2.128", 25, 64497, "Example Hosting", "DE"),
    ("198.51.100.0", 24, 64500, "Example University", "GR"),
    ("2001:db8::", 32, 64510, "Example Backbone", "JP"),
    ("2001:db8:53::", 48, 64511, "Example DNS", ""),
];

/// What the consumer wants to know.
const ADDRESSES: [&str; 6] =
    ["192.0.2.1", "192.0.2.200", "198.51.100.7", "2001:db8::1", "2001:db8:53::53", "203.0.113.9"];

/// The number of the table's state; it would grow with each change.
const GENERATION: u64 = 1;

/// Room for a request or a response, in bytes.
const AMPLE_BYTES: usize = 4096;
/// A response that has room for some of the items only.
const TIGHT_BYTES: usize = 404;

/// Bytes on a line of a hex dump.
const DUMP_BYTES: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let request = ask(&ADDRESSES)?;
    let response = answer(&request, AMPLE_BYTES)?;
    println!("{} addresses asked in {} bytes,", ADDRESSES.len(), request.len());
    println!("answered in {} bytes. The first item on the wire:\n", response.len());
    dump_first_item(&response)?;
    println!("\nand all of them decoded:\n");
    show(&response)?;

    println!("\nWhere a response may take {TIGHT_BYTES} bytes, what does not fit is asked again.");
    let mut left = ADDRESSES.to_vec();
    while !left.is_empty() {
        let response = answer(&ask(&left)?, TIGHT_BYTES)?;
        println!("\n{} asked, {} bytes answered:\n", left.len(), response.len());
        left = show(&response)?;
    }
    Ok(())
}

/// The consumer: a request about some addresses.
fn ask(addresses: &[&str]) -> Result<Vec<u8>, BuildError> {
    let mut out = vec![0; AMPLE_BYTES];
    let mut request = RequestBuilder::new(&mut out, addresses.len())?;
    for address in addresses {
        request.push(address)?;
    }
    let len = request.finish()?;
    out.truncate(len);
    Ok(out)
}

/// The provider: the response to a request, in so many bytes at most. The builder keeps to that by
/// itself, so that the handler need not know.
fn answer(request: &[u8], budget_bytes: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let request = RequestView::decode(request)?;
    let mut out = vec![0; budget_bytes];
    let budget = ResponseBudget { out: &mut out, at_ceiling: true };
    let mut response = ResponseBuilder::new(&request, budget)?;
    response.generation(GENERATION);
    for ip in request.keys() {
        match look_up(ip) {
            Some((asn, name, country)) => {
                response.known(ip).asn(asn).as_name(name).country(country).finish()?;
            }
            None => response.unknown(ip)?,
        }
    }
    let len = response.finish()?;
    out.truncate(len);
    Ok(out)
}

/// The entry with the longest prefix that holds the address; `None` too if it is no address.
fn look_up(ip: &[u8]) -> Option<(u32, &'static str, &'static str)> {
    let ip: IpAddr = str::from_utf8(ip).ok()?.parse().ok()?;
    let holding = TABLE.iter().filter(|(prefix, bits, ..)| holds(prefix, *bits, ip));
    let (.., asn, name, country) = holding.max_by_key(|(_, bits, ..)| *bits)?;
    Some((*asn, name, country))
}

/// Whether the first `bits` of an address, at least one, are those of the prefix.
fn holds(prefix: &str, bits: u32, ip: IpAddr) -> bool {
    match (prefix.parse(), ip) {
        (Ok(IpAddr::V4(prefix)), IpAddr::V4(ip)) => {
            (prefix.to_bits() ^ ip.to_bits()) >> (u32::BITS - bits) == 0
        }
        (Ok(IpAddr::V6(prefix)), IpAddr::V6(ip)) => {
            (prefix.to_bits() ^ ip.to_bits()) >> (u128::BITS - bits) == 0
        }
        _ => false,
    }
}

/// The consumer: prints a response as a table, and answers what to ask again.
fn show(response: &[u8]) -> Result<Vec<&'static str>, Box<dyn Error>> {
    let response = ResponseView::decode(response)?;
    println!("  {:<16} {:<17} {:>6}  {:<18} country", "address", "status", "asn", "name");
    for item in response.items() {
        let asn = if item.status() == Status::Known { item.asn().to_string() } else { "-".into() };
        let (ip, status) = (item.ip().to_string(), item.status());
        let (name, country) = (item.as_name().to_string(), item.country());
        let line = format!("  {ip:<16} {status:<17} {asn:>6}  {name:<18} {country}");
        println!("{}", line.trim_end());
    }
    let again = response.items().filter(|item| item.status() == Status::PayloadExceeded);
    Ok(again.filter_map(|item| ADDRESSES.into_iter().find(|each| item.ip() == *each)).collect())
}

/// Prints the bytes of a response's first item.
fn dump_first_item(response: &[u8]) -> Result<(), Box<dyn Error>> {
    let item = ResponseView::decode(response)?.get(0).ok_or("there is no item")?.to_owned();
    let mut bytes = vec![0; item.encoded_len()];
    item.encode(&mut bytes)?;
    for (index, line) in bytes.chunks(DUMP_BYTES).enumerate() {
        let hex: String = line.iter().map(|byte| format!(" {byte:02x}")).collect();
        let visible = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let text: String = line.iter().map(visible).collect();
        println!("  {:04x} {hex:<width$}  {text}", index * DUMP_BYTES, width = 3 * DUMP_BYTES);
    }
    Ok(())
}
