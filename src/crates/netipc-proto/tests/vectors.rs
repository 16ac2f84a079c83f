//! Every golden vector of the envelope: the fields given, the same bytes again, every bad one
//! refused (payloads are tested where their codecs are).

use netipc_proto::batch::{Batch, BatchBuilder};
use netipc_proto::chunk::{ChunkHeader, Incoming, PacketSize, Reassembly, Split};
use netipc_proto::header::{Header, Kind, Limits};
use netipc_proto::hello::{Hello, HelloAck};
use netipc_proto::names::{
    MAX_SOCKET_PATH_LEN, ObjectKind, ServiceName, WindowsSession, pipe_name, region_path,
    region_session_id, socket_path,
};
use netipc_proto::negotiate::{Peer, Policy, check_reply, negotiate};
use netipc_proto::profile::{Profile, Profiles};
use netipc_proto::token::{parse_uuid, token_from_session_uuid};
use netipc_proto::{Direction, Message, Status};
use netipc_testkit::{Value, Vector, bytes, list, load, load_json, text, to_host, uint};

/// Widths of the integers of each layout, in bytes: what a big-endian host swaps.
const HEADER: [usize; 10] = [4, 2, 2, 2, 2, 2, 2, 4, 4, 8];
const HELLO: [usize; 11] = [2, 2, 4, 4, 4, 4, 4, 4, 4, 8, 4];
const HELLO_ACK: [usize; 12] = [2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 8];
const CHUNK: [usize; 8] = [4, 2, 2, 8, 4, 4, 4, 4];

/// Tests the vectors of one layout: what `decode` makes of the bytes is what `expected` makes of
/// the fields, and `encode` makes the bytes of it again.
fn check<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
    category: &str,
    widths: &[usize],
    decode: impl Fn(&[u8]) -> Result<T, E>,
    expected: impl Fn(&Value) -> T,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    for Vector { name, valid, canonical, bytes, fields, .. } in load(category) {
        let bytes = to_host(&bytes, widths);
        match decode(&bytes) {
            Ok(decoded) => {
                assert!(valid, "{category} {name}: accepted");
                assert_eq!(decoded, expected(&fields), "{category} {name}");
                if canonical {
                    assert_eq!(encode(&decoded), bytes, "{category} {name}");
                }
            }
            Err(error) => assert!(!valid, "{category} {name}: {error:?}"),
        }
    }
}

fn kind(number: u16) -> Kind {
    [Kind::Request, Kind::Response, Kind::Control]
        .into_iter()
        .find(|kind| *kind as u16 == number)
        .expect("a kind of the contract")
}

fn limits(fields: &Value, payload: &str, items: &str) -> Limits {
    Limits { payload_bytes: uint(fields, payload), batch_items: uint(fields, items) }
}

fn profiles(fields: &Value, name: &str) -> Profiles {
    Profiles(uint(fields, name))
}

#[test]
fn header_vectors() {
    check(
        "header",
        &HEADER,
        Header::decode,
        |fields| Header {
            kind: kind(uint(fields, "kind")),
            flags: uint(fields, "flags"),
            code: uint(fields, "code"),
            status: Status(uint(fields, "status")),
            payload_len: uint(fields, "plen"),
            item_count: uint(fields, "items"),
            message_id: uint(fields, "mid"),
        },
        |header| header.encode().to_vec(),
    );
}

#[test]
fn hello_vectors() {
    check(
        "hello",
        &HELLO,
        Hello::decode,
        |fields| Hello {
            supported: profiles(fields, "sup"),
            preferred: profiles(fields, "pref"),
            request: limits(fields, "rq", "rqi"),
            response_hint: limits(fields, "rs", "rsi"),
            auth_token: uint(fields, "tok"),
            packet_size: uint(fields, "ps"),
        },
        |hello| hello.encode().to_vec(),
    );
}

#[test]
fn hello_ack_vectors() {
    check(
        "hello_ack",
        &HELLO_ACK,
        HelloAck::decode,
        |fields| HelloAck {
            server_supported: profiles(fields, "sup"),
            intersection: profiles(fields, "inter"),
            selected: profiles(fields, "sel"),
            request: limits(fields, "rq", "rqi"),
            response: limits(fields, "rs", "rsi"),
            packet_size: uint(fields, "ps"),
            session_id: uint(fields, "sid"),
        },
        |ack| ack.encode().to_vec(),
    );
}

#[test]
fn chunk_vectors() {
    check(
        "chunk",
        &CHUNK,
        ChunkHeader::decode,
        |fields| ChunkHeader {
            message_id: uint(fields, "mid"),
            total_message_len: uint(fields, "total"),
            chunk_index: uint(fields, "idx"),
            chunk_count: uint(fields, "cnt"),
            chunk_payload_len: uint(fields, "plen"),
        },
        |chunk| chunk.encode().to_vec(),
    );
}

#[test]
fn batch_vectors() {
    for Vector { name, valid, canonical, bytes, fields, entry } in load("batch") {
        let item_count: u32 = uint(&entry, "item_count");
        let payload = to_host(&bytes, &vec![4; item_count as usize * 2]);
        let batch = match Batch::decode(&payload, item_count) {
            Ok(batch) => batch,
            Err(error) => {
                assert!(!valid, "batch {name}: {error}");
                continue;
            }
        };
        assert!(valid, "batch {name}: accepted");
        let items: Vec<Vec<u8>> = list(&fields["items"])
            .iter()
            .map(|item| netipc_testkit::unhex(item.as_str().expect("hexadecimal")))
            .collect();
        assert_eq!(batch.iter().collect::<Vec<_>>(), items, "batch {name}");
        let mut buffer = Vec::new();
        let mut builder = BatchBuilder::new(&mut buffer, item_count, u32::MAX).unwrap();
        for item in &items {
            builder.push(item).unwrap();
        }
        assert_eq!(builder.finish().unwrap() == payload, canonical, "batch {name}");
    }
}

/// The packet in host order: the first has a message header, the others a chunk header.
fn host_packet(index: usize, packet: &Value) -> Vec<u8> {
    let packet = netipc_testkit::unhex(packet.as_str().expect("hexadecimal"));
    to_host(&packet, if index == 0 { &HEADER } else { &CHUNK })
}

#[test]
fn chunked_messages_vectors_are_split_and_put_together() {
    for entry in list(&load_json("chunked_messages")) {
        let name = text(entry, "name");
        assert_eq!(text(entry, "payload_byte_i"), "(i * 7 + payload_len) & 255", "{name}");
        let payload_len: u32 = uint(entry, "payload_len");
        let payload: Vec<u8> = (0..payload_len).map(|i| (i * 7 + payload_len) as u8).collect();
        let header = Header {
            kind: kind(uint(entry, "kind")),
            ..Header::request(uint(entry, "code"), uint(entry, "message_id"), payload_len)
        };
        let packet_size = PacketSize::new(uint(entry, "packet_size")).expect("room");
        let sent: Vec<Vec<u8>> = Split::new(header, packet_size)
            .unwrap()
            .map(|packet| [&packet.head[..], &payload[packet.payload]].concat())
            .collect();

        let lengths: Vec<u64> = sent.iter().map(|packet| packet.len() as u64).collect();
        let expected: Vec<u64> =
            list(&entry["packet_lengths"]).iter().map(|len| len.as_u64().unwrap()).collect();
        assert_eq!(lengths, expected, "{name}");
        if let Some(packets) = entry["packets"].as_array() {
            let packets: Vec<Vec<u8>> = packets
                .iter()
                .enumerate()
                .map(|(index, packet)| host_packet(index, packet))
                .collect();
            assert_eq!(sent, packets, "{name}");
        }

        let mut reassembly = Reassembly::new(Incoming {
            direction: match header.kind {
                Kind::Request => Direction::Requests,
                _ => Direction::Responses,
            },
            packet_size,
            limits: Limits { payload_bytes: payload_len, batch_items: 1 },
            ceiling_bytes: payload_len,
        });
        let (last, before) = sent.split_last().unwrap();
        for packet in before {
            assert_eq!(reassembly.accept(packet), Ok(None), "{name}");
        }
        let message = Message { header, payload: &payload };
        assert_eq!(reassembly.accept(last), Ok(Some(message)), "{name}");
    }
}

#[test]
fn negotiation_vectors_are_answered_byte_for_byte() {
    let peer = Peer { admitted: true, can_open_regions: true, session_free: true };
    for entry in list(&load_json("negotiation")) {
        let name = text(entry, "name");
        let server = &entry["server"];
        let policy = Policy {
            supported: profiles(server, "sup"),
            preferred: profiles(server, "pref"),
            max_request_payload_bytes: uint(server, "rq"),
            response_payload_bytes: uint(server, "rs"),
            auth_token: uint(server, "tok"),
            packet_size: uint(server, "ps"),
        };
        let hello = to_host(&bytes(entry, "hello_message"), &[&HEADER[..], &HELLO].concat());
        let reply = to_host(&bytes(entry, "reply_message"), &[&HEADER[..], &HELLO_ACK].concat());
        let (status, answer) = match negotiate(&hello, &policy, &peer) {
            Ok(agreed) => (Status::OK, agreed.message(uint(server, "sid"))),
            Err(rejection) => (rejection.status(), rejection.message()),
        };
        assert_eq!(status, Status(uint(entry, "status")), "{name}");
        assert_eq!(answer[..], reply, "{name}");

        if let Ok(proposal) = Hello::decode(&hello[32..]) {
            let accepted = check_reply(&proposal, &reply);
            assert_eq!(accepted.is_ok(), status.is_ok(), "{name}: {accepted:?}");
        }
    }
}

#[test]
fn names_vectors_are_made_byte_for_byte() {
    let file = load_json("names");
    for entry in list(&file["names"]) {
        let run_dir = text(entry, "run_dir").as_bytes();
        let service = &ServiceName::new(text(entry, "service")).unwrap();
        let session_id: u64 = uint(entry, "session_id");
        let socket = socket_path(run_dir, service, MAX_SOCKET_PATH_LEN).unwrap();
        assert_eq!(String::from_utf8(socket).unwrap(), text(entry, "socket"));
        let region = String::from_utf8(region_path(run_dir, service, session_id).unwrap()).unwrap();
        assert_eq!(region, text(entry, "region"));
        let (_, file_name) = region.rsplit_once('/').unwrap();
        assert_eq!(region_session_id(service, file_name.as_bytes()), Some(session_id));
        assert_eq!(pipe_name(run_dir, service).unwrap(), text(entry, "pipe"));
        let session = WindowsSession {
            run_dir,
            service,
            auth_token: uint(entry, "auth_token"),
            profile: Profile::SHM_HYBRID,
            session_id,
        };
        for (kind, field) in [
            (ObjectKind::Mapping, "mapping"),
            (ObjectKind::RequestEvent, "req_event"),
            (ObjectKind::ResponseEvent, "resp_event"),
        ] {
            assert_eq!(session.object_name(kind).unwrap(), text(entry, field));
        }
    }
    for name in list(&file["refused_services"]) {
        let name = name.as_str().expect("a name");
        assert!(ServiceName::new(name).is_err(), "{name:?} is accepted");
    }
}

#[test]
fn token_vectors() {
    for entry in list(&load_json("token")) {
        let uuid = parse_uuid(text(entry, "uuid")).unwrap();
        assert_eq!(uuid[..], bytes(entry, "bytes"));
        assert_eq!(token_from_session_uuid(&uuid), uint::<u64>(entry, "token"));
    }
}
