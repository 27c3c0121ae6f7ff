use serde_json::json;

use super::*;

/// A field with bytes.
fn put(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.extend([number << 3 | 2, u8::try_from(bytes.len()).unwrap()]);
    out.extend(bytes);
}

fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|(number, bytes)| put(&mut out, *number, bytes));
    out
}

fn read_as(name: &str, bytes: &[u8]) -> Result<Value> {
    let id = schema::builtin().by_name(&format!("io.k8s.api.{name}")).unwrap();
    read(id, bytes).map(Value::Object)
}

/// The data is read by place: a struct that moved would be read as another.
#[test]
fn the_numbers_are_those_of_the_schemas() {
    let lines: Vec<&str> = DATA.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), schema::builtin().iter().count());
    for (id, known) in schema::builtin().iter() {
        let line = lines[id.0 as usize];
        let name = line.split([' ', '.']).nth(1).unwrap();
        assert_eq!(name, known.go_name());
        let numbers = line.split(' ').skip(1).map(|word| {
            let run = word.rsplit('.').next().unwrap();
            let ends = run.split_once('-').map(|(a, b)| (a.parse::<usize>(), b.parse::<usize>()));
            if let Some((Ok(first), Ok(last))) = ends { last - first + 1 } else { 1 }
        });
        assert_eq!(numbers.sum::<usize>(), known.fields.len(), "{line}");
    }
}

#[test]
fn embedded_structs_are_part_of_the_object() {
    let source = message(&[(2, &message(&[(1, b"")]))]);
    let volume = message(&[(1, b"data"), (2, &source)]);
    assert_eq!(
        read_as("core.v1.Volume", &volume).unwrap(),
        json!({"name": "data", "emptyDir": {"medium": ""}})
    );
}

#[test]
fn times_amounts_and_ports_are_what_json_has() {
    let mut port = message(&[(1, b"http")]);
    port.extend([3 << 3, 80]);
    put(&mut port, 4, &[8, 0, 16, 0x90, 0x3f]);
    let service = read_as("core.v1.ServicePort", &port).unwrap();
    assert_eq!(service, json!({"name": "http", "port": 80, "targetPort": 8080}));
    let mut named = vec![8, 1];
    named.extend(message(&[(3, b"web")]));
    assert_eq!(
        read_as("core.v1.ServicePort", &message(&[(4, &named)])).unwrap(),
        json!({"targetPort": "web"})
    );

    let amount = message(&[(1, b"cpu"), (2, &message(&[(1, b"100m")]))]);
    let limits = message(&[(1, &amount)]);
    assert_eq!(read_as("core.v1.ResourceRequirements", &limits).unwrap(), json!({"limits": {"cpu": "100m"}}));

    let meta = schema::builtin().by_name("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap();
    let seconds = [8, 0x80, 0x92, 0xf4, 0xb2, 0x06];
    let object = read(meta, &message(&[(8, b""), (9, &seconds)])).unwrap();
    assert_eq!(object["creationTimestamp"], Value::Null);
    assert_eq!(object["deletionTimestamp"], "2024-06-03T00:06:24Z");
    let lease = read_as("coordination.v1.LeaseSpec", &message(&[(4, &[8, 1, 16, 0xd0, 0x0f])])).unwrap();
    assert_eq!(lease, json!({"renewTime": "1970-01-01T00:00:01.000002Z"}));
}

#[test]
fn lists_in_maps_are_wrapped_and_lists_of_numbers_may_be_packed() {
    let extra = message(&[(1, b"scopes"), (2, &message(&[(1, b"a"), (1, b"b")]))]);
    let user = message(&[(1, b"u"), (4, &extra)]);
    assert_eq!(
        read_as("authentication.v1.UserInfo", &user).unwrap(),
        json!({"username": "u", "extra": {"scopes": ["a", "b"]}})
    );
    let groups = |bytes: &[u8]| read_as("core.v1.PodSecurityContext", bytes).unwrap();
    assert_eq!(groups(&[32, 1, 32, 2]), groups(&[34, 2, 1, 2]));
    assert_eq!(groups(&[32, 1, 32, 2]), json!({"supplementalGroups": [1, 2]}));
}

#[test]
fn schemas_are_what_json_has() {
    let id = schema::builtin()
        .by_name("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
        .unwrap();
    let text = message(&[(5, b"string")]);
    let mut schema = message(&[(5, b"object"), (8, &message(&[(1, b"1.50")]))]);
    // The numbers of fields behind the 15th take two bytes.
    let mut far = |number: u8, bytes: &[u8]| {
        let tag = u16::from(number) << 3 | 2;
        schema.extend([(tag & 0x7f) as u8 | 0x80, (tag >> 7) as u8, u8::try_from(bytes.len()).unwrap()]);
        schema.extend(bytes);
    };
    far(24, &message(&[(1, &text)]));
    far(30, &[8, 1]);
    far(29, &message(&[(1, b"p"), (2, &text)]));
    assert_eq!(
        Value::Object(read(id, &schema).unwrap()),
        json!({"type": "object", "default": 1.50, "items": {"type": "string"}, "additionalProperties": true,
            "properties": {"p": {"type": "string"}}})
    );
}

#[test]
fn what_is_no_message_is_refused() {
    let pod = |bytes: &[u8]| read_as("core.v1.Pod", bytes).unwrap_err();
    assert_eq!(pod(b"\x0a"), "unexpected EOF");
    assert_eq!(pod(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "proto: integer overflow");
    assert_eq!(pod(b"\x08\x01"), "proto: wrong wireType = 0 for field Metadata");
    assert_eq!(pod(b"\x0b"), "proto: illegal wireType 3");
    assert_eq!(pod(b"\x02\x00"), "proto: illegal tag 0 (wire type 2)");
    // A schema in a schema, as deep as a body can be.
    let id = schema::builtin()
        .by_name("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
        .unwrap();
    let mut deep = Vec::new();
    for _ in 0..5000 {
        // `not`: its number takes two bytes.
        let mut outer = vec![0xe2, 0x01];
        let mut length = deep.len();
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(&deep);
        deep = outer;
    }
    assert_eq!(read(id, &deep).unwrap_err(), "exceeded max depth");
}
