//! An event as a line of JSON, its members in the order of CloudTrail's records.

use attestation::VerifiedDocument;

use crate::json_writer::{self, Object};

use super::{AdditionalEventData, Event, Resource, date};

/// The version of CloudTrail's record format.
const EVENT_VERSION: &str = "1.11";

/// How long the line of an ordinary event is, in bytes.
const USUAL_LINE_BYTES: usize = 1536;

/// The PCRs that AWS records of an attestation document, and the names it gives them. PCR0 is the
/// image digest.
const RECORDED_PCRS: [(usize, &str); 6] = [
    (0, "attestationDocumentEnclaveImageDigest"),
    (1, "attestationDocumentEnclavePCR1"),
    (2, "attestationDocumentEnclavePCR2"),
    (3, "attestationDocumentEnclavePCR3"),
    (4, "attestationDocumentEnclavePCR4"),
    (8, "attestationDocumentEnclavePCR8"),
];

impl Event {
    /// No line is longer than this, whatever was called.
    pub const MAX_LINE_BYTES: usize = 32 * 1024;

    /// The event as one line of JSON, without a line break at its end or anywhere else.
    pub fn to_json_line(&self) -> String {
        let mut line = Vec::with_capacity(USUAL_LINE_BYTES);
        self.write_json_line(&mut line);
        // JSON that was made of texts is one.
        String::from_utf8(line).unwrap_or_default()
    }

    /// Appends that line.
    pub fn write_json_line(&self, line: &mut Vec<u8>) {
        json_writer::append(line, |o| self.write(o));
    }

    fn write(&self, o: &mut Object<'_>) {
        o.text("eventVersion", EVENT_VERSION);
        o.object("userIdentity", |o| self.user_identity.write(o));
        o.text("eventTime", date::Iso8601::of(self.event_time).as_str());
        o.text("eventSource", self.event_source);
        o.text("eventName", self.event_name);
        if let Some(region) = &self.aws_region {
            o.text("awsRegion", region.as_str());
        }
        o.text("sourceIPAddress", &self.source_ip_address);
        write_text(o, "userAgent", self.user_agent.as_deref());
        write_text(o, "errorCode", self.error_code);
        write_text(o, "errorMessage", self.error_message.as_deref());
        match &self.request_parameters {
            Some(parameters) => o.json("requestParameters", parameters),
            None => o.null("requestParameters"),
        }
        match &self.response_elements {
            Some(elements) => o.value("responseElements", elements),
            None => o.null("responseElements"),
        }
        if !self.additional_event_data.is_empty() {
            let data = &self.additional_event_data;
            o.object("additionalEventData", |o| data.write(o));
        }
        if !self.request_id.is_nil() {
            write_uuid(o, "requestID", &self.request_id);
        }
        write_uuid(o, "eventID", &self.event_id);
        o.flag("readOnly", self.read_only);
        o.objects("resources", self.resources.iter(), |o, resource| {
            resource.write(o);
        });
        o.text("eventType", self.event_type);
        if let Some(details) = &self.service_event_details {
            o.value("serviceEventDetails", details);
        }
        o.flag("managementEvent", true);
        if let Some(account) = &self.recipient_account_id {
            o.text("recipientAccountId", account.as_str());
        }
        o.text("eventCategory", "Management");
    }
}

impl Resource {
    fn write(&self, o: &mut Object<'_>) {
        o.text("accountId", self.account_id.as_str());
        o.text("type", self.kind);
        o.text("ARN", &self.arn);
    }
}

impl AdditionalEventData {
    fn is_empty(&self) -> bool {
        let Self {
            number,
            authorization,
            recipient,
            others,
        } = self;
        number.is_none() && authorization.is_empty() && recipient.is_none() && others.is_empty()
    }

    fn write(&self, o: &mut Object<'_>) {
        if let Some((boot_id, number)) = &self.number {
            o.text("enclaveBootId", boot_id);
            o.number("enclaveEventNumber", *number);
        }
        if !self.authorization.is_empty() {
            o.object("authorization", |o| self.authorization.write(o));
        }
        if let Some(document) = &self.recipient {
            o.object("recipient", |o| write_measurements(o, document));
        }
        self.others.write(o);
    }
}

/// What CloudTrail shows of an attestation document.
fn write_measurements(o: &mut Object<'_>, document: &VerifiedDocument) {
    o.text("attestationDocumentModuleId", document.module_id());
    for (index, name) in RECORDED_PCRS {
        if let Some(value) = document.pcrs().get(index) {
            o.blob(name, value);
        }
    }
}

fn write_text(o: &mut Object<'_>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        o.text(name, text);
    }
}

fn write_uuid(o: &mut Object<'_>, name: &str, id: &uuid::Uuid) {
    let mut text = uuid::Uuid::encode_buffer();
    o.text(name, id.hyphenated().encode_lower(&mut text));
}
