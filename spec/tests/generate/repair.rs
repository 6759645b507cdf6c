//! Makes manifests whose values are right keep the rules across fields too.

use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

/// Returns the manifest with what contradicts itself taken out or made to fit.
pub(super) fn repaired(mut manifest: Value) -> Value {
    let Some(services) = manifest["services"].as_object_mut() else { return manifest };
    let mut earlier = Vec::new();
    for (index, (name, service)) in services.iter_mut().enumerate() {
        if let Value::Object(service) = service {
            repair(service, index, &earlier);
            earlier.push((name.clone(), is_service(service), service.contains_key("health")));
        }
    }
    manifest
}

fn is_service(service: &Fields) -> bool {
    service.get("rtype").is_none_or(|rtype| rtype == "service")
}

fn repair(service: &mut Fields, index: usize, earlier: &[(String, bool, bool)]) {
    rtype(service);
    resources(service);
    depends(service, earlier);
    endpoints(service, index);
    health(service);
    steps(service);
    scale(service);
    rollout(service);
    volumes(service);
    let empty = |command: &Value| command["entrypoint"].as_array().is_some_and(Vec::is_empty);
    if service.get("command").is_some_and(empty) {
        service.remove("command");
    }
}

/// Fields that go with another kind of service.
fn rtype(service: &mut Fields) {
    let kind = service.get("rtype").and_then(Value::as_str).unwrap_or("service").to_owned();
    let others: &[&str] = match kind.as_str() {
        "service" => &["schedule", "timezone", "concurrency", "timeout", "retries"],
        "job" => &["schedule", "timezone", "scale", "rollout", "on_disconnect"],
        _ => &["scale", "rollout", "on_disconnect"],
    };
    service.retain(|field, _| !others.contains(&field.as_str()));
    if kind == "cron" {
        service.entry("schedule").or_insert_with(|| "30 3 * * *".into());
    }
    if kind != "service" {
        for field in ["health", "errors"] {
            service.remove(field);
        }
    }
    positive(service, "timeout");
}

/// A time of nothing is no bound.
fn positive(fields: &mut Fields, field: &str) {
    if fields.contains_key(field) {
        let is_zero = |text: &str| text.parse::<spec::units::Duration>().is_ok_and(|duration| duration.0 == 0);
        if fields[field].as_str().is_some_and(is_zero) {
            fields.insert(field.to_owned(), "7s".into());
        }
    }
}

fn resources(service: &mut Fields) {
    if let Some(resources) = service.get_mut("resources").and_then(Value::as_object_mut) {
        let small = |text: &str| text.parse::<spec::units::Bytes>().is_ok_and(|size| size.0 < 4 << 20);
        if resources.get("memory").and_then(Value::as_str).is_some_and(small) {
            resources.insert("memory".to_owned(), "4Mi".into());
        }
    }
}

/// Services wait for those before them, so that there is no cycle.
fn depends(service: &mut Fields, earlier: &[(String, bool, bool)]) {
    let Some(Value::Array(list)) = service.get_mut("depends") else { return };
    let running: Vec<_> = earlier.iter().filter(|(_, is_service, _)| *is_service).collect();
    list.truncate(running.len());
    for (dependency, (name, _, health)) in list.iter_mut().zip(running) {
        dependency["service"] = name.clone().into();
        if !health && dependency.get("condition").is_some_and(|condition| condition == "healthy") {
            dependency["condition"] = "started".into();
        }
        dependency.as_object_mut().into_iter().for_each(|fields| positive(fields, "timeout"));
    }
}

fn endpoints(service: &mut Fields, index: usize) {
    let Some(Value::Array(list)) = service.get_mut("endpoints") else { return };
    for (at, endpoint) in list.iter_mut().enumerate() {
        let Value::Object(endpoint) = endpoint else { continue };
        endpoint.insert("name".to_owned(), format!("e{at}").into());
        endpoint.insert("port".to_owned(), (1000 + 10 * index + at).into());
        let others: &[&str] = match endpoint["protocol"].as_str() {
            Some("http") => &["tls"],
            Some("https" | "websocket") => &[],
            Some("tcp") => &["path", "tls"],
            _ => &["path", "tls", "host"],
        };
        endpoint.retain(|field, _| !others.contains(&field.as_str()));
    }
}

fn health(service: &mut Fields) {
    let Some(health) = service.get_mut("health").and_then(Value::as_object_mut) else { return };
    positive(health, "interval");
    positive(health, "timeout");
    if health.get("retries") == Some(&json!(0)) {
        health.remove("retries");
    }
    let check = &mut health["check"];
    if check["type"] == "command" {
        command(check);
    } else {
        check.as_object_mut().into_iter().for_each(|check| {
            check.entry("port").or_insert_with(|| 8080.into());
        });
    }
}

/// A command that says nothing runs nothing.
fn command(fields: &mut Value) {
    let nothing = match &fields["command"] {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.first().and_then(Value::as_str).is_none_or(str::is_empty),
        _ => true,
    };
    if nothing {
        fields["command"] = "true".into();
    }
}

fn steps(service: &mut Fields) {
    let Some(Value::Array(steps)) = service.get_mut("init").and_then(|init| init.get_mut("steps")) else { return };
    for (at, step) in steps.iter_mut().enumerate() {
        step["id"] = format!("s{at}").into();
        if step["uses"] == "init.run" {
            command(&mut step["with"]);
        }
        if let Value::Object(step) = step {
            positive(step, "timeout");
            step.entry("retry").and_modify(|retry| *retry = (retry.as_u64().unwrap_or(0) % 10).into());
        }
    }
}

fn scale(service: &mut Fields) {
    let limited = service.get("resources").is_some_and(|resources| resources.get("memory").is_some());
    let asked = service.get("endpoints").and_then(Value::as_array).is_some_and(|list| {
        list.iter().any(|endpoint| matches!(endpoint["protocol"].as_str(), Some("http" | "https" | "websocket")))
    });
    let Some(scale) = service.get_mut("scale").and_then(Value::as_object_mut) else { return };
    let least = scale.get("min").and_then(Value::as_u64).unwrap_or(1) % 20;
    scale.entry("min").and_modify(|min| *min = least.into());
    scale.entry("max").and_modify(|max| *max = (least.max(1) + max.as_u64().unwrap_or(0) % 20).into());
    scale.entry("replicas").and_modify(|replicas| *replicas = (replicas.as_u64().unwrap_or(0) % 40).into());
    if let Some(targets) = scale.get_mut("targets").and_then(Value::as_object_mut) {
        targets.retain(|target, value| match target.as_str() {
            "memory" => limited,
            "rps" => asked && *value != json!(0),
            _ => true,
        });
    }
}

fn rollout(service: &mut Fields) {
    let Some(rollout) = service.get_mut("rollout").and_then(Value::as_object_mut) else { return };
    let strategy = rollout.get("strategy").and_then(Value::as_str).unwrap_or("rolling").to_owned();
    rollout.retain(|field, _| match field.as_str() {
        "max_surge" | "max_unavailable" => strategy == "rolling",
        "warmup" => strategy == "blue_green",
        _ => true,
    });
    if rollout.get("max_surge") == Some(&json!(0)) {
        rollout.insert("max_unavailable".to_owned(), 1.into());
    }
}

/// Each volume is of one kind, and at a place of its own.
fn volumes(service: &mut Fields) {
    let Some(Value::Array(volumes)) = service.get_mut("volumes") else { return };
    let mut named = false;
    for (at, volume) in volumes.iter_mut().enumerate() {
        let Value::Object(volume) = volume else { continue };
        volume.insert("target".to_owned(), format!("/data/{at}").into());
        if volume.remove("bind").is_some_and(|bind| volume.insert("bind".to_owned(), bind).is_none()) {
            volume.retain(|field, _| field != "name" && field != "read_only");
        } else {
            volume.insert("name".to_owned(), format!("v{at}").into());
            named = true;
        }
    }
    // Two replicas cannot both have what is there once.
    if named {
        service.remove("rollout");
        if is_service(service) && service.contains_key("scale") {
            service.insert("scale".to_owned(), json!({"mode": "fixed", "replicas": 1}));
        }
    }
}
