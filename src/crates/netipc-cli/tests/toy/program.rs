//! Round-trips values through what was generated for the toy schemas. Panics at the first that comes
//! back differently.
#![deny(warnings)]

use netipc::codec::{BuildError, ResponseBudget};
use toy::services::{badge, door, names, sensor, shelf, tick, valve};

/// More than any payload here.
const BUFFER_BYTES: usize = 1024;

fn main() {
    valve_moves_numbers_of_every_type();
    valve_answers_a_table_alone();
    sensor_is_asked_by_several_numbers();
    badge_is_asked_by_an_open_enumeration();
    door_keeps_the_limits_of_strings();
    names_do_not_clash();
    shelf_has_a_header_with_rules();
    tick_is_numbers_alone();
    println!("all toys came back");
}

/// Encodes an owned value, and checks that it comes back the same from its own bytes.
macro_rules! round_trip {
    ($module:ident::$view:ident, $owned:expr) => {{
        let owned = $owned;
        let mut out = [0xAA; BUFFER_BYTES];
        let len = owned.encode(&mut out).expect("it encodes");
        assert_eq!(len, owned.encoded_len());
        let view = $module::$view::decode(&out[..len]).expect("it decodes");
        assert_eq!(view.to_owned(), owned);
        for short in 0..len {
            assert!($module::$view::decode(&out[..short]).is_err(), "{short} of {len} bytes");
        }
        out[..len].to_vec()
    }};
}

fn valve_moves_numbers_of_every_type() {
    let mut out = [0; BUFFER_BYTES];
    let len = valve::RequestBuilder::new(&mut out)
        .mode(valve::Mode::Ajar)
        .turn(i32::MIN)
        .limit(-2)
        .serial(u64::MAX - 1)
        .colour(valve::Colour(77))
        .pressure(9)
        .reading(u8::MAX)
        .label("front")
        .note("abc")
        .tags([("a", "1"), ("b", "")])
        .finish()
        .expect("it is within the rules");
    let view = valve::RequestView::decode(&out[..len]).expect("it decodes");
    assert_eq!((view.mode(), view.turn(), view.limit()), (valve::Mode::Ajar, i32::MIN, -2));
    assert_eq!((view.serial(), view.colour().name()), (u64::MAX - 1, None));
    assert_eq!((view.pressure(), view.reading()), (9, 255));
    assert_eq!((view.label(), view.note()), ("front".into(), "abc".into()));
    assert_eq!(view.tags().len(), 2);
    assert_eq!(view.tags().value_of("b"), Some("".into()));
    round_trip!(valve::RequestView, view.to_owned());

    // A blank request is `shut`, with the blank value of everything else; only its label is asked for.
    let rule = |field| Err(BuildError::Rule { field });
    let mut out = [0; BUFFER_BYTES];
    assert!(matches!(
        valve::RequestBuilder::new(&mut out).finish(),
        Err(BuildError::Length { field: "label", min: 1, max: 8, .. })
    ));
    let len = valve::RequestBuilder::new(&mut out).label("x").finish().expect("blank");
    let view = valve::RequestView::decode(&out[..len]).expect("it decodes");
    assert_eq!((view.turn(), view.limit()), (-1, i64::MIN));
    assert_eq!((view.serial(), view.colour()), (u64::MAX, valve::Colour(7)));
    assert_eq!(valve::RequestBuilder::new(&mut out).label("x").turn(3).finish(), rule("turn"));
    assert_eq!(
        valve::RequestBuilder::new(&mut out).label("x").tags([("a", "")]).finish(),
        rule("tags")
    );
    let ajar = valve::RequestBuilder::new(&mut out).label("x").mode(valve::Mode::Ajar);
    assert_eq!(ajar.finish(), rule("note"));
    assert!(valve::RequestBuilder::new(&mut out).label("123456789").finish().is_err());
}

fn valve_answers_a_table_alone() {
    let tags = vec![("key".into(), "value".into()), ("k".into(), "".into())];
    let bytes = round_trip!(valve::ResponseView, valve::Response { tags });
    let view = valve::ResponseView::decode(&bytes).expect("it decodes");
    assert_eq!(view.tags().value_of("key"), Some("value".into()));
    round_trip!(valve::ResponseView, valve::Response { tags: Vec::new() });
}

fn sensor_is_asked_by_several_numbers() {
    let place = |x, y, axis| sensor::Place { x, y, axis };
    let places = vec![
        place(-1, i32::MAX, sensor::Axis::Vertical),
        place(i64::MIN, 0, sensor::Axis::Horizontal),
        place(0, -9, sensor::Axis::Vertical),
        place(7, 7, sensor::Axis::Vertical),
    ];
    let asked = round_trip!(sensor::RequestView, sensor::Request { places: places.clone() });
    let mut wrong = asked.clone();
    // The first key's axis: it lies behind a header of 16 bytes, four entries, and 12 bytes.
    wrong[16 + 4 * 8 + 12] = 5;
    assert!(sensor::RequestView::decode(&wrong).is_err(), "the axis is closed");

    let request = sensor::RequestView::decode(&asked).expect("it decodes");
    assert_eq!(request.places().collect::<Vec<_>>(), places);
    let mut out = [0; BUFFER_BYTES];
    let budget = ResponseBudget { out: &mut out, at_ceiling: true };
    let mut response = sensor::ResponseBuilder::new(&request, budget).expect("there is room");
    response.epoch(5);
    response.fresh(places[0]).quality(200).value(-40).taken_at(u64::MAX).finish().expect("fresh");
    response.stale(places[1]).value(12).flags(3).finish().expect("stale");
    response.broken(places[2]).flags(1).finish().expect("broken");
    response.unknown(places[3]).expect("unknown");
    let len = response.finish().expect("all were answered");

    let view = sensor::ResponseView::decode(&out[..len]).expect("it decodes");
    assert_eq!(view.epoch(), 5);
    let read: Vec<_> = view.last_readings().map(|item| (item.x(), item.status())).collect();
    let statuses = [sensor::Status::Fresh, sensor::Status::Stale, sensor::Status::Broken];
    assert_eq!(read[..3], [(-1, statuses[0]), (i64::MIN, statuses[1]), (0, statuses[2])]);
    assert_eq!(view.get(2).map(|item| (item.value(), item.flags())), Some((i32::MIN, 1)));
    assert_eq!(view.get(3).map(|item| item.status()), Some(sensor::Status::Unknown));
    round_trip!(sensor::ResponseView, view.to_owned());

    // The wrong key, at the wrong turn.
    let budget = ResponseBudget { out: &mut out, at_ceiling: true };
    let mut response = sensor::ResponseBuilder::new(&request, budget).expect("there is room");
    let turned = sensor::Place { axis: sensor::Axis::Horizontal, ..places[0] };
    assert_eq!(response.unknown(turned), Err(BuildError::Echo));
}

fn badge_is_asked_by_an_open_enumeration() {
    let levels = vec![badge::Rank::GUEST, badge::Rank(900)];
    let asked = round_trip!(badge::RequestView, badge::Request { levels });
    let request = badge::RequestView::decode(&asked).expect("it decodes");
    // Room for the first badge's lines, and for "ask again" about the second.
    let mut out = [0; 16 + 2 * 8 + 40 + 8];
    let budget = ResponseBudget { out: &mut out, at_ceiling: true };
    let mut response = badge::ResponseBuilder::new(&request, budget).expect("there is room");
    for level in request.levels() {
        response.known(level).lines([("name", "Ada")]).finish().expect("it is next");
    }
    assert!(response.is_full());
    let len = response.finish().expect("all were answered");
    let view = badge::ResponseView::decode(&out[..len]).expect("it decodes");
    let statuses: Vec<_> = view.badges().map(|item| item.status()).collect();
    assert_eq!(statuses, [badge::Status::Known, badge::Status::Again]);
    assert_eq!(view.get(0).and_then(|item| item.lines().value_of("name")), Some("Ada".into()));
    round_trip!(badge::ResponseView, view.to_owned());
}

fn door_keeps_the_limits_of_strings() {
    let mut asked = [0; BUFFER_BYTES];
    let mut builder = door::RequestBuilder::new(&mut asked, 2).expect("there is room");
    assert!(builder.push("x").is_err(), "too short");
    assert!(builder.push("sixsix").is_err(), "too long");
    builder.push("front").expect("it fits");
    builder.push("up").expect("it fits");
    let len = builder.finish().expect("two keys");
    let request = door::RequestView::decode(&asked[..len]).expect("it decodes");

    let mut out = [0; BUFFER_BYTES];
    let budget = ResponseBudget { out: &mut out, at_ceiling: true };
    let mut response = door::ResponseBuilder::new(&request, budget).expect("there is room");
    response.open("front").by("Ada").why("heat").finish().expect("open");
    response.closed("up").finish().expect("closed");
    let len = response.finish().expect("all were answered");
    let view = door::ResponseView::decode(&out[..len]).expect("it decodes");
    assert_eq!(
        view.get(0).map(|item| (item.by(), item.title())),
        Some(("Ada".into(), "front".into()))
    );
    round_trip!(door::ResponseView, view.to_owned());

    // An open door was opened by somebody, with a name of four bytes at most.
    for by in ["", "Grace"] {
        let budget = ResponseBudget { out: &mut out, at_ceiling: true };
        let mut response = door::ResponseBuilder::new(&request, budget).expect("there is room");
        assert!(response.open("front").by(by).finish().is_err(), "{by}");
        assert!(response.finish().is_err(), "a response that failed cannot be finished");
    }
}

fn names_do_not_clash() {
    let items = vec!["a".into(), "bc".into()];
    let asked = round_trip!(names::RequestView, names::Request { items });
    let request = names::RequestView::decode(&asked).expect("it decodes");
    let mut out = [0; BUFFER_BYTES];
    let budget = ResponseBudget { out: &mut out, at_ceiling: true };
    let mut response = names::ResponseBuilder::new(&request, budget).expect("there is room");
    let known = response.known("a").number(names::Number::Ok).budget(-1).labels("l").payloads("p");
    known.count([("k", "v")]).finish().expect("known");
    response.pushed("bc").fields("f").count([("k", "v")]).finish().expect("pushed");
    let len = response.finish().expect("all were answered");
    let view = names::ResponseView::decode(&out[..len]).expect("it decodes");
    assert_eq!(view.get(0).map(|item| (item.budget(), item.labels())), Some((-1, "l".into())));
    round_trip!(names::ResponseView, view.to_owned());
}

fn shelf_has_a_header_with_rules() {
    let mut out = [0; BUFFER_BYTES];
    let len = shelf::RequestBuilder::new(&mut out).finish().expect("five zeros");
    assert_eq!((len, &out[..len]), (5, &[0; 5][..]));
    assert!(shelf::RequestView::decode(&out[..len]).is_ok());
    assert!(shelf::RequestView::decode(&[0, 0, 0, 0, 1]).is_err());

    let mut builder = shelf::ResponseBuilder::new(&mut out, 2).expect("there is room");
    builder.generation(8).state(shelf::State::Sorted).tidied_by(3).offset(i64::MAX);
    let book = builder.things_kept().id(-3).kind(shelf::Kind::BOOK).title("KDL").note("on loan");
    book.marks([("page", "7"), ("line", "")]).finish().expect("a book");
    let other = builder.things_kept().id(4).kind(shelf::Kind(200)).title("mug");
    other.state(shelf::State::Sorted).finish().expect("no book");
    let len = builder.finish().expect("two things");
    let view = shelf::ResponseView::decode(&out[..len]).expect("it decodes");
    assert_eq!(
        (view.state(), view.tidied_by(), view.offset()),
        (shelf::State::Sorted, 3, i64::MAX)
    );
    let marks: Vec<_> = view.things_kept().map(|item| item.marks().len()).collect();
    assert_eq!(marks, [2, 0]);
    round_trip!(shelf::ResponseView, view.to_owned());

    // The rules of the header hold for builder, owned value and decoder alike.
    let mut builder = shelf::ResponseBuilder::new(&mut out, 0).expect("there is room");
    builder.state(shelf::State::Mixed).tidied_by(1);
    assert_eq!(builder.finish(), Err(BuildError::Rule { field: "tidied_by" }));
    let mut mixed = view_of_nothing();
    let good = round_trip!(shelf::ResponseView, mixed.clone());
    mixed.offset = 0;
    assert_eq!(mixed.encode(&mut out), Err(BuildError::Rule { field: "offset" }));
    let mut bad = good;
    bad[6] = 1; // tidied_by
    assert!(shelf::ResponseView::decode(&bad).is_err());
}

fn view_of_nothing() -> shelf::Response {
    shelf::Response {
        state: shelf::State::Mixed,
        tidied_by: 0,
        generation: 1,
        offset: -5,
        things_kept: Vec::new(),
    }
}

fn tick_is_numbers_alone() {
    let ticks = vec![tick::Tick { id: 1, value: u64::MAX }, tick::Tick { id: 2, value: 0 }];
    round_trip!(tick::ResponseView, tick::Response { epoch: 0, ticks });
    assert!(tick::RequestView::decode(&[2]).is_ok() && tick::RequestView::decode(&[1]).is_err());
}
