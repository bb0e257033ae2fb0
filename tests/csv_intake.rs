//! CSV files as people have them: every way in which one can be odd or broken, and what comes of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use leadsync::config::CsvSettings;
use leadsync::lead::RawLead;
use leadsync::pipeline::source::csv::{CsvError, CsvRow, CsvSource, Encoding, write_rejects};
use proptest::prelude::*;
use tempfile::TempDir;

// ---- how this file asks ----

fn settings(columns: &[(&str, &str)]) -> CsvSettings {
    CsvSettings { columns: columns.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect() }
}

fn source(bytes: impl AsRef<[u8]>) -> CsvSource {
    try_source(bytes).unwrap_or_else(|e| panic!("{e}"))
}

fn try_source(bytes: impl AsRef<[u8]>) -> Result<CsvSource, CsvError> {
    CsvSource::from_reader("leads.csv", Cursor::new(bytes.as_ref().to_vec()), &CsvSettings::default())
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    try_source(bytes).err().expect("this should have been refused").to_string()
}

fn all(mut source: CsvSource) -> Vec<CsvRow> {
    let mut rows = Vec::new();
    while let Some(row) = source.next_row().unwrap() {
        rows.push(row);
    }
    rows
}

/// `line email|first|last` or `line ! reason`: enough to see what became of each row.
fn told(rows: &[CsvRow]) -> Vec<String> {
    let shown = |value: &Option<String>| value.clone().unwrap_or_default();
    rows.iter()
        .map(|row| match row {
            CsvRow::Lead { line, raw } => {
                format!("{line} {}|{}|{}", shown(&raw.email), shown(&raw.first_name), shown(&raw.last_name))
            }
            CsvRow::Rejected { line, reason, .. } => format!("{line} ! {reason}"),
        })
        .collect()
}

fn rows(bytes: impl AsRef<[u8]>) -> Vec<String> {
    told(&all(source(bytes)))
}

fn first_lead(bytes: impl AsRef<[u8]>) -> RawLead {
    match all(source(bytes)).into_iter().next() {
        Some(CsvRow::Lead { raw, .. }) => raw,
        other => panic!("no lead: {other:?}"),
    }
}

/// Bytes allocated by this thread, now and at most, to see that memory stays bounded.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // Not there any more while a thread ends.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: hands everything to the system's allocator unchanged and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn peak_of<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}

/// Made while it is read.
struct Generated<I: Iterator<Item = Vec<u8>>> {
    parts: I,
    part: Cursor<Vec<u8>>,
}

fn generated(parts: impl Iterator<Item = Vec<u8>> + Send + 'static) -> impl Read + Send + 'static {
    Generated { parts, part: Cursor::default() }
}

impl<I: Iterator<Item = Vec<u8>>> Read for Generated<I> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.part.read(buf)?;
            match if n == 0 { self.parts.next() } else { None } {
                Some(next) => self.part = Cursor::new(next),
                None => return Ok(n),
            }
        }
    }
}

fn repeated(bytes: &'static [u8], times: usize) -> impl Iterator<Item = Vec<u8>> + Send {
    std::iter::repeat_with(|| bytes.to_vec()).take(times)
}

fn in_folder(name: &str, bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn open(path: &Path) -> CsvSource {
    CsvSource::open(path, &CsvSettings::default()).unwrap()
}

/// Imports a file and writes what it rejected, plus these refusals that came later.
fn rejects_of(path: &Path, later: &[(u64, &str)]) -> Option<String> {
    let mut source = open(path);
    let mut rejected: Vec<(u64, String)> = later.iter().map(|(line, why)| (*line, (*why).to_owned())).collect();
    while let Some(row) = source.next_row().unwrap() {
        if let CsvRow::Rejected { line, reason, .. } = row {
            rejected.push((line, reason));
        }
    }
    rejected.sort();
    let written = write_rejects(source.reject_source(), rejected).unwrap()?;
    Some(String::from_utf8_lossy(&fs::read(written).unwrap()).into_owned())
}

// ---- files that can't be imported ----

#[test]
fn a_file_that_is_not_there_or_is_a_directory_or_empty_is_one_plain_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = CsvSource::open(folder.path().join("none.csv"), &CsvSettings::default()).err().unwrap();
    assert!(missing.to_string().contains("none.csv`: no such file"), "{missing}");
    let directory = CsvSource::open(folder.path(), &CsvSettings::default()).err().unwrap();
    assert!(matches!(directory, CsvError::Directory { .. }), "{directory}");
    for empty in ["", "\n\r\n\n", "\u{feff}", "\u{feff}\n", " , ,\n", "sep=;\n"] {
        assert!(refused(empty).contains("`leads.csv` is empty"), "{empty:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = in_folder("leads.csv", "email\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    match CsvSource::open(&path, &CsvSettings::default()) {
        Err(refused) => assert!(refused.to_string().contains("permission denied"), "{refused}"),
        // The superuser may read anything.
        Ok(_) => assert!(rustix::process::geteuid().is_root()),
    }
}

#[test]
fn a_header_alone_is_an_import_of_no_rows() {
    assert_eq!(rows("email,first name\n"), [""; 0]);
    assert_eq!(rows("email"), [""; 0]);
}

#[test]
fn without_an_email_column_the_message_says_what_was_found_and_how_to_map_it() {
    assert_eq!(
        refused("Vorname;Nachname;Kontaktmail\nAnn;Bee;x\n"),
        "`leads.csv` has no e-mail column; found `Vorname`, `Nachname`, `Kontaktmail`; name the one to use in \
         leadsync.toml: [csv.columns] email = \"Kontaktmail\""
    );
    assert!(refused("first_name,last_name\nAnn,Bee\n").ends_with("[csv.columns] email = \"…\""));
}

#[test]
fn a_file_that_begins_with_a_lead_is_told_from_a_header_without_showing_the_lead() {
    let refused = refused("ann.bee@example.com,Ann,Bee\nbob@example.com,Bob,Cee\n");
    assert!(refused.contains("no header") && refused.contains("line 1"), "{refused}");
    assert!(!refused.contains("ann") && !refused.contains("Bee"), "{refused}");
}

#[test]
fn what_is_no_text_is_refused_with_what_to_do() {
    for (bytes, found, remedy) in [
        (&b"PK\x03\x04\x14\0\x06\0rest"[..], "Excel", "save it as CSV"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1", "old Excel", "save it as CSV"),
        (b"\x1F\x8B\x08\0\0\0", "gzip", "gzip -dc"),
        (b"%PDF-1.7\n", "PDF", "export"),
        (b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x01", "binary", "CSV"),
        (b"e\0m\0a\0i\0l\0\n\0", "UTF-16 text without a byte order mark", "save it as CSV"),
    ] {
        let refused = refused(bytes);
        assert!(refused.contains(found) && refused.contains(remedy), "{refused}");
    }
    let noise: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(refused(noise).contains("not a CSV file"));
}

#[test]
fn a_header_without_end_is_refused_in_bounded_memory() {
    for part in [&b"email"[..], b"email,", b"\"email"] {
        let (result, peak) = peak_of(|| {
            CsvSource::from_reader("leads.csv", generated(repeated(part, 4 << 20)), &CsvSettings::default())
        });
        assert!(matches!(result, Err(CsvError::HeaderTooLarge { .. })));
        assert!(peak < 8 << 20, "{peak} bytes");
    }
}

#[test]
fn a_mapping_to_a_column_that_is_not_there_names_the_nearest() {
    let open = |columns: &[(&str, &str)]| {
        let text = Cursor::new(b"Kontakt,Vorname\nann@example.com,Ann\n".to_vec());
        CsvSource::from_reader("leads.csv", text, &settings(columns))
    };
    let missing = open(&[("email", "Kontact")]).err().unwrap().to_string();
    assert_eq!(
        missing,
        "`leads.csv` has no column `Kontact`, which [csv.columns] email names; found `Kontakt`, `Vorname`; did you mean `Kontakt`?"
    );
    let unknown = open(&[("e_mail", "Kontakt")]).err().unwrap().to_string();
    assert!(unknown.contains("no key `e_mail`; did you mean `email`?"), "{unknown}");
    assert_eq!(told(&all(open(&[("email", "kontakt")]).unwrap())), ["2 ann@example.com|Ann|"]);
}

// ---- headers ----

#[test]
fn usual_headers_fill_the_fields_they_name() {
    let raw = first_lead(
        "E-Mail,Given Name,Surname,Mobile,Organisation,Position,LinkedIn URL,Lead Source,Context,Comments,CRM ID,custom.plan\n\
         a@b.example,Ann,Bee,123,Acme,Boss,ann-bee,Web,ctx,hi,42,pro\n",
    );
    let text = |value: &str| Some(value.to_owned());
    let expected = RawLead {
        email: text("a@b.example"),
        first_name: text("Ann"),
        last_name: text("Bee"),
        phone: text("123"),
        company: text("Acme"),
        job_title: text("Boss"),
        linkedin: text("ann-bee"),
        source: text("Web"),
        context: text("ctx"),
        note: text("hi"),
        custom_fields: text(r#"{"plan":"pro"}"#),
        external_id: text("42"),
    };
    assert_eq!(serde_json::to_value(&raw).unwrap(), serde_json::to_value(&expected).unwrap());
}

#[test]
fn unknown_columns_are_ignored_and_named_once() {
    let source = source("email,Shoe Size,,first name,Birthday\na@b.example,42,x,Ann,1.1.\n");
    assert_eq!(source.header().ignored(), ["Shoe Size", "Birthday"]);
    assert_eq!(source.header().notices(), [""; 0]);
    assert_eq!(told(&all(source)), ["2 a@b.example|Ann|"]);
}

#[test]
fn of_two_columns_for_one_field_the_first_wins_unless_one_has_the_fields_own_name_or_is_mapped() {
    let twice = source("Work Email,Business Email\na@b.example,c@d.example\n");
    assert_eq!(twice.header().notices().len(), 1);
    assert!(twice.header().notices()[0].contains("`Work Email` and `Business Email`"));
    assert_eq!(twice.header().ignored(), ["Business Email"]);
    assert_eq!(told(&all(twice)), ["2 a@b.example||"]);

    assert_eq!(rows("Work Email,email\na@b.example,c@d.example\n"), ["2 c@d.example||"]);
    assert_eq!(rows("email,email\na@b.example,c@d.example\n"), ["2 a@b.example||"]);

    let text = Cursor::new(b"email,Business Email\na@b.example,c@d.example\n".to_vec());
    let mapped = CsvSource::from_reader("leads.csv", text, &settings(&[("email", "Business Email")])).unwrap();
    assert_eq!(mapped.header().notices(), [""; 0]);
    assert_eq!(told(&all(mapped)), ["2 c@d.example||"]);
}

#[test]
fn one_column_for_the_whole_name_is_split_where_there_is_none_for_the_first() {
    assert_eq!(rows("Name,email\nAnn Bee,a@b.example\n"), ["2 a@b.example|Ann|Bee"]);
    assert_eq!(rows("email;Full Name\na@b.example;Bee, Ann\n"), ["2 a@b.example|Ann|Bee"]);
    assert_eq!(
        rows("Name,Last Name,email\nAnn,Bee,a@b.example\nBob Cee,Cee,b@b.example\n"),
        ["2 a@b.example|Ann|Bee", "3 b@b.example|Bob|Cee"]
    );
    assert_eq!(rows("Name,First Name,email\nDr. Ann Bee,Ann,a@b.example\n"), ["2 a@b.example|Ann|"]);
}

#[test]
fn custom_fields_come_from_their_json_column_and_from_columns_of_their_own() {
    let of = |text: &str| first_lead(text).custom_fields.unwrap();
    assert_eq!(of("email,custom_fields\na@b.example,\"{\"\"plan\"\": \"\"pro\"\"}\"\n"), r#"{"plan": "pro"}"#);
    assert_eq!(
        of("email,custom_fields,custom:size\na@b.example,\"{\"\"plan\"\": 1}\",5\n"),
        r#"{"plan":1,"size":"5"}"#
    );
    assert_eq!(of("email,custom_fields,custom:size\na@b.example,oops,5\n"), r#"{"custom_fields":"oops","size":"5"}"#);
}

// ---- dialects and encodings ----

#[test]
fn every_delimiter_is_found_and_shown() {
    for (delimiter, named) in [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")] {
        let text = ["email,first name,last name", "a@b.example,Ann,Bee", ""].join("\n").replace(',', delimiter);
        let source = source(&text);
        assert_eq!(source.dialect().to_string(), format!("UTF-8, separated by {named}"));
        assert_eq!(told(&all(source)), ["2 a@b.example|Ann|Bee"]);
    }
}

#[test]
fn excels_sep_line_and_blank_lines_before_the_header_still_count_as_lines() {
    assert_eq!(rows("sep=;\r\nemail;first name\r\na@b.example;Ann\r\n"), ["3 a@b.example|Ann|"]);
    assert_eq!(rows("\r\n\nemail,first name\n\na@b.example,Ann\n"), ["5 a@b.example|Ann|"]);
    assert_eq!(rows("\u{feff}sep=\t\n\t \t\nemail\tfirst name\na@b.example\tAnn\n"), ["4 a@b.example|Ann|"]);
}

#[test]
fn every_encoding_that_announces_itself_is_read() {
    let text = "email,first name\nann@example.com,Zoë 😀\n";
    let utf16 = |to: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(to).collect()
    };
    for (bytes, encoding) in [
        (text.as_bytes().to_vec(), Encoding::Utf8),
        (format!("\u{feff}{text}").into_bytes(), Encoding::Utf8WithBom),
        (utf16(u16::to_le_bytes), Encoding::Utf16Le),
        (utf16(u16::to_be_bytes), Encoding::Utf16Be),
    ] {
        let source = source(bytes);
        assert_eq!(source.dialect().encoding, encoding);
        assert_eq!(told(&all(source)), ["2 ann@example.com|Zoë 😀|"]);
    }
}

#[test]
fn lines_may_end_in_any_way() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["email,first name", "a@b.example,Ann", "", "c@d.example,Cy"].join(end);
        assert_eq!(rows(&text), ["2 a@b.example|Ann|", "4 c@d.example|Cy|"]);
        assert_eq!(rows(text + end), ["2 a@b.example|Ann|", "4 c@d.example|Cy|"]);
    }
}

#[test]
fn a_row_is_known_by_the_line_on_which_it_begins_whatever_its_quotes_hold() {
    let text = "email,note,first name\r\na@b.example,\"one\r\ntwo\n\nfour\",Ann\r\nb@b.example,\"say \"\"hi\"\"\",Bob\r\n\"c@b.example\",,Cy";
    assert_eq!(rows(text), ["2 a@b.example|Ann|", "6 b@b.example|Bob|", "7 c@b.example|Cy|"]);
    assert_eq!(first_lead(text).note.as_deref(), Some("one\r\ntwo\n\nfour"));
}

// ---- rows that can't be used ----

#[test]
fn rows_with_too_few_or_too_many_fields_are_rejected_by_count_and_the_others_go_on() {
    let text = "email,first name,last name\na@b.example\nb@b.example,Bob,Bee\nc@b.example,Cy,Cee,more\nd@b.example,Di,Dee,, \n,,\n , , , \n\ne@b.example,Ed,";
    assert_eq!(
        rows(text),
        [
            "2 ! too few fields: 1, the header has 3",
            "3 b@b.example|Bob|Bee",
            "4 ! too many fields: 4, the header has 3",
            "5 d@b.example|Di|Dee",
            "9 e@b.example|Ed|",
        ]
    );
    match &all(source(text))[0] {
        CsvRow::Rejected { raw, .. } => assert_eq!(raw.email.as_deref(), Some("a@b.example")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_is_no_utf8_is_rejected_by_line_and_column_and_the_others_go_on() {
    let text = b"email,Vorname,x\na@b.example,J\xFCrgen,\nb@b.example,Bob,\xFC\nc@b.example,J\xC3\xBCrgen,\n";
    assert_eq!(
        rows(text),
        [
            "2 ! column `Vorname`: not valid UTF-8; save the file as UTF-8 and import it again",
            "3 b@b.example|Bob|",
            "4 c@b.example|Jürgen|",
        ]
    );
}

#[test]
fn nul_bytes_within_a_cell_are_dropped() {
    let mut text = b"email,first name\na@b.example,A\0nn\n".to_vec();
    text.extend_from_slice(&b"b@b.example,Bob\n".repeat(20));
    assert_eq!(rows(text)[0], "2 a@b.example|Ann|");
}

#[test]
fn ten_megabytes_in_one_field_cost_one_row_and_little_memory() {
    let parts = std::iter::once(b"email,note,first name\na@b.example,x,Ann\nb@b.example,".to_vec())
        .chain(repeated(&[b'x'; 1024], 10 << 10))
        .chain(std::iter::once(b",Bob\nc@b.example,x,Cy\n".to_vec()));
    let (rows, peak) = peak_of(|| all(CsvSource::from_reader("x", generated(parts), &CsvSettings::default()).unwrap()));
    assert_eq!(
        told(&rows),
        ["2 a@b.example|Ann|", "3 ! column `note`: 10485760 bytes, at most 65536 are allowed", "4 c@b.example|Cy|",]
    );
    assert!(peak < 4 << 20, "{peak} bytes");
}

#[test]
fn a_field_just_within_the_limit_is_a_lead() {
    let text = |length: usize| format!("email,note\na@b.example,{}\n", "x".repeat(length));
    assert_eq!(rows(text(64 * 1024)), ["2 a@b.example||"]);
    assert_eq!(rows(text(64 * 1024 + 1)), ["2 ! column `note`: 65537 bytes, at most 65536 are allowed"]);
}

#[test]
fn a_quote_that_is_never_closed_costs_its_row_and_says_where_it_was_opened() {
    let text = "email,note,first name\na@b.example,x,Ann\nb@b.example,\"oops,Bob\nc@b.example,x,Cy\nd@b.example,x,Di\n";
    let rows = all(source(text));
    assert_eq!(
        told(&rows),
        [
            "2 a@b.example|Ann|",
            "3 ! column `note`: a quote (\") is opened and never closed, so everything to the end of the file (line 5) was \
             taken for this row; close or remove it and import again",
        ]
    );
    match &rows[1] {
        CsvRow::Rejected { raw, .. } => {
            assert_eq!((raw.email.as_deref(), raw.note.as_deref()), (Some("b@b.example"), None))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unclosed_quote_before_many_rows_does_not_fill_the_memory() {
    let parts = std::iter::once(b"email,note\na@b.example,\"".to_vec()).chain(repeated(b"b@b.example,x\n", 1 << 20));
    let (rows, peak) = peak_of(|| all(CsvSource::from_reader("x", generated(parts), &CsvSettings::default()).unwrap()));
    assert_eq!(rows.len(), 1);
    assert!(told(&rows)[0].contains("never closed") && told(&rows)[0].contains("line 1048577"), "{:?}", told(&rows));
    assert!(peak < 4 << 20, "{peak} bytes");
}

#[test]
fn a_missing_quote_that_swallows_rows_up_to_the_next_one_is_found_out() {
    let text = format!("email,note\na@b.example,\"oops\n{}b@b.example,\"x\"\n", "z@b.example,x\n".repeat(30));
    let told = rows(&text);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("2 ! column `note`: text follows a closing quote") && told[0].contains("lines up to 33 "),
        "{told:?}"
    );
    // On one line nothing can be swallowed, and sloppy exports are common.
    assert_eq!(rows("email,first name\na@b.example,\"Ann\" Bee\n"), ["2 a@b.example|Ann Bee|"]);
}

#[test]
fn a_row_of_countless_fields_costs_little_memory() {
    let parts = std::iter::once(b"email\n".to_vec())
        .chain(repeated(b",,,,,,,,,,,,,,,,", 1 << 18))
        .chain(std::iter::once(b"\na@b.example\n".to_vec()));
    let (rows, peak) = peak_of(|| all(CsvSource::from_reader("x", generated(parts), &CsvSettings::default()).unwrap()));
    assert_eq!(
        told(&rows),
        [format!("2 ! too many fields: {}, the header has 1", (16 << 18) + 1), "3 a@b.example||".to_owned()]
    );
    assert!(peak < 4 << 20, "{peak} bytes");
}

#[test]
fn a_pipe_that_breaks_midway_is_an_error_with_its_line() {
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let rows = format!("email,first name\n{}", "a@b.example,Ann\n".repeat(10_000));
    let mut source = CsvSource::from_reader("x", Cursor::new(rows).chain(Breaks), &CsvSettings::default()).unwrap();
    let mut leads = 0;
    let error = loop {
        match source.next_row() {
            Ok(Some(_)) => leads += 1,
            Ok(None) => panic!("ended as if nothing had happened"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CsvError::Read { line, .. } if line == leads + 2), "{error}");
}

// ---- the rejects file ----

#[test]
fn rejected_rows_are_written_beside_the_import_as_they_were() {
    let text = b"email;first name;note\r\na@b.example;Ann;x\r\nb@b.example\r\nc@b.example;C\xFC;\"y;\r\n\"\"z\"\"\"\r\n\r\n=1+1;Di;x\r\n";
    let (_folder, path) = in_folder("leads.csv", text);
    let mut source = open(&path);
    while source.next_row().unwrap().is_some() {}
    let rejected = [(3, "few"), (4, "bytes; and \"more\""), (7, "=refused"), (7, "twice"), (7, "twice")]
        .map(|(l, r)| (l, r.to_owned()));
    let written = write_rejects(source.reject_source(), rejected).unwrap().unwrap();
    assert_eq!(written, path.with_file_name("leads.csv.rejected.csv"));
    let expected = b"line;reason;email;first name;note\r\n3;few;b@b.example\r\n4;\"bytes; and \"\"more\"\"\";c@b.example;C\xFC;\"y;\r\n\"\"z\"\"\"\r\n7;\"'=refused; twice\";=1+1;Di;x\r\n";
    assert_eq!(String::from_utf8_lossy(&fs::read(&written).unwrap()), String::from_utf8_lossy(expected));
    assert_eq!(fs::read(&written).unwrap(), expected);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_corrected_rejects_file_can_be_imported_and_rejected_again() {
    let (_folder, path) = in_folder("leads.csv", "email,first name\na@b.example\nb@b.example,Bob\n");
    assert_eq!(
        rejects_of(&path, &[(3, "refused")]).unwrap(),
        "line,reason,email,first name\n2,\"too few fields: 1, the header has 2\",a@b.example\n3,refused,b@b.example,Bob\n"
    );
    let again = path.with_file_name("leads.csv.rejected.csv");
    let source = open(&again);
    assert_eq!(source.header().ignored(), [""; 0]);
    assert_eq!(told(&all(source)), ["2 ! too few fields: 3, the header has 4", "3 b@b.example|Bob|"]);
    // The columns that leadsync put there are replaced, not piled up.
    assert_eq!(
        rejects_of(&again, &[(3, "refused again")]).unwrap(),
        "line,reason,email,first name\n2,\"too few fields: 3, the header has 4\",a@b.example\n3,refused again,b@b.example,Bob\n"
    );
}

#[test]
fn a_file_with_columns_line_or_reason_of_its_own_keeps_them() {
    let (_folder, path) = in_folder("leads.csv", "email,Reason\na@b.example,x\n");
    assert_eq!(
        rejects_of(&path, &[(2, "refused")]).unwrap(),
        "leadsync_line,leadsync_reason,email,Reason\n2,refused,a@b.example,x\n"
    );
    let again = path.with_file_name("leads.csv.rejected.csv");
    assert_eq!(
        rejects_of(&again, &[(2, "again")]).unwrap(),
        "leadsync_line,leadsync_reason,email,Reason\n2,again,a@b.example,x\n"
    );
}

#[test]
fn a_row_whose_quote_never_ends_is_closed_so_that_the_file_can_be_read() {
    let (_folder, path) = in_folder("leads.csv", "email,note\na@b.example,\"oops\nb@b.example,x\n");
    let rejects = rejects_of(&path, &[]).unwrap();
    assert!(rejects.ends_with(",a@b.example,\"oops\nb@b.example,x\n\"\n"), "{rejects}");
    assert_eq!(rows(&rejects).len(), 1);
}

#[test]
fn utf16_becomes_utf8_with_a_mark_and_the_sep_line_stays() {
    let text = "\u{feff}sep=;\r\nemail;first name\r\nzoë\r\n";
    let (_folder, path) = in_folder("leads.csv", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    assert_eq!(
        rejects_of(&path, &[]).unwrap(),
        "\u{feff}sep=;\r\nline;reason;email;first name\r\n3;too few fields: 1, the header has 2;zoë\r\n"
    );
}

#[test]
fn without_rejects_there_is_no_file_and_an_older_one_goes() {
    let (_folder, path) = in_folder("leads.csv", "email,first name\na@b.example\n");
    assert!(rejects_of(&path, &[]).is_some());
    fs::write(&path, "email,first name\na@b.example,Ann\n").unwrap();
    assert_eq!(rejects_of(&path, &[]), None);
    assert!(!path.with_file_name("leads.csv.rejected.csv").exists());
}

#[test]
fn a_file_of_that_name_that_is_not_ours_is_never_touched() {
    let (_folder, path) = in_folder("leads.csv", "email,first name\na@b.example\n");
    let theirs = path.with_file_name("leads.csv.rejected.csv");
    fs::write(&theirs, "my own notes\n").unwrap();
    let refused = write_rejects(open(&path).reject_source(), [(2, "x".to_owned())]).unwrap_err().to_string();
    assert!(refused.contains("was not written by leadsync"), "{refused}");
    assert_eq!(write_rejects(open(&path).reject_source(), []).unwrap(), None);
    assert_eq!(fs::read_to_string(theirs).unwrap(), "my own notes\n");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_to_is_a_plain_error_for_a_warning() {
    let (folder, path) = in_folder("leads.csv", "email,first name\na@b.example\n");
    let source = open(&path);
    // Gone is as unwritable as read-only, and so for the superuser too.
    fs::remove_dir_all(folder.path()).unwrap();
    let refused = write_rejects(source.reject_source(), [(2, "x".to_owned())]).unwrap_err().to_string();
    assert!(
        refused.contains("could not write the rejected rows to `") && refused.contains("leads.csv.rejected.csv"),
        "{refused}"
    );
}

#[test]
fn an_import_that_changed_meanwhile_gives_no_wrong_rows() {
    let (_folder, path) = in_folder("leads.csv", "email,first name\na@b.example\n");
    let source = open(&path).reject_source();
    fs::write(&path, "email,first name\nsomebody@else.example,Else\n").unwrap();
    let refused = write_rejects(source.clone(), [(2, "x".to_owned())]).unwrap_err();
    assert!(refused.to_string().contains("could not read"), "{refused}");
    assert!(!source.target().exists());
}

#[test]
fn a_line_on_which_no_row_begins_is_no_reject() {
    let (_folder, path) = in_folder("leads.csv", "email,note\na@b.example,\"x\ny\"\n");
    for lines in [&[3][..], &[4], &[2, 1]] {
        let rejected: Vec<_> = lines.iter().map(|line| (*line, "x".to_owned())).collect();
        assert!(write_rejects(open(&path).reject_source(), rejected).is_err(), "{lines:?}");
    }
    assert!(!path.with_file_name("leads.csv.rejected.csv").exists());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_once_and_its_rejects_are_still_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || fs::write(path, "email,first name\na@b.example\nb@b.example,Bob\n").unwrap()
    });
    assert_eq!(
        rejects_of(&path, &[]).unwrap(),
        "line,reason,email,first name\n2,\"too few fields: 1, the header has 2\",a@b.example\n"
    );
    writer.join().unwrap();
}

// ---- whatever comes ----

/// A cell that may hold anything a well-formed file can.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9 ]{0,8}", "[a-z,;|\t\"\r\n']{0,8}", "\\PC{0,6}"]
}

proptest! {
    #[test]
    fn any_bytes_give_rows_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(mut source) = try_source(bytes) {
            while source.next_row().unwrap().is_some() {}
        }
    }

    #[test]
    fn any_bytes_after_a_header_are_rows_on_ascending_lines(tail in prop::collection::vec(prop::sample::select(b"a@,;\"\n\r\t \xFC\0".to_vec()), 0..200)) {
        let rows = all(source([&b"email,first name,note, a long header against being taken for binary\n"[..], &b"x,y,z,1\n".repeat(400), &tail].concat()));
        let lines: Vec<u64> = rows.iter().map(|row| match row { CsvRow::Lead { line, .. } | CsvRow::Rejected { line, .. } => *line }).collect();
        prop_assert!(lines.is_sorted_by(|a, b| a < b));
        prop_assert!(lines.len() >= 400);
    }

    #[test]
    fn every_row_is_a_lead_or_a_reject(rows in prop::collection::vec(prop::collection::vec("[a-z]{0,3}", 0..5), 0..40)) {
        let text: String = rows.iter().map(|cells| cells.join(",") + "\n").collect();
        // Counted without any of our parsing: lines that hold a letter.
        let expected = text.lines().filter(|line| line.contains(char::is_alphabetic)).count();
        let all = all(source(format!("email,first name,last name\n{text}")));
        let leads = all.iter().filter(|row| matches!(row, CsvRow::Lead { .. })).count();
        let rejects = all.iter().filter(|row| matches!(row, CsvRow::Rejected { .. })).count();
        let well_formed = text.lines().filter(|line| line.contains(char::is_alphabetic)).filter(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            cells.len() >= 3 && cells[3..].iter().all(|cell| cell.is_empty())
        }).count();
        prop_assert_eq!(leads + rejects, expected);
        prop_assert_eq!(leads, well_formed);
    }

    #[test]
    fn what_was_quoted_correctly_is_read_exactly(cells in prop::collection::vec((cell(), cell()), 1..20), delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|'])) {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        writer.write_record(["email", "note", "first name"]).unwrap();
        for (note, name) in &cells {
            writer.write_record(["a@b.example", note, name]).unwrap();
        }
        let leads = all(source(writer.into_inner().unwrap()));
        prop_assert_eq!(leads.len(), cells.len());
        let or_none = |text: &String| (!text.as_bytes().trim_ascii().is_empty()).then(|| text.clone());
        for (row, (note, name)) in leads.iter().zip(&cells) {
            match row {
                CsvRow::Lead { raw, .. } => prop_assert_eq!((&raw.note, &raw.first_name), (&or_none(note), &or_none(name))),
                CsvRow::Rejected { reason, .. } => prop_assert!(false, "{}", reason),
            }
        }
    }

    #[test]
    fn a_rejects_file_holds_exactly_the_rows_it_was_asked_for(names in prop::collection::vec("[a-z,\"\n]{1,6}", 1..20), chosen in prop::collection::vec(any::<bool>(), 20)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["email", "note"]).unwrap();
        for name in &names {
            writer.write_record(["a@b.example", name]).unwrap();
        }
        let (_folder, path) = in_folder("leads.csv", writer.into_inner().unwrap());
        let mut source = open(&path);
        let mut lines = Vec::new();
        while let Some(CsvRow::Lead { line, .. }) = source.next_row().unwrap() {
            lines.push(line);
        }
        let picked: Vec<usize> = (0..names.len()).filter(|i| chosen[*i]).collect();
        let written = write_rejects(source.reject_source(), picked.iter().map(|i| (lines[*i], "why".to_owned()))).unwrap();
        let copied = written.map_or_else(Vec::new, |path| all(open(&path)));
        let notes: Vec<_> = copied.iter().map(|row| match row {
            CsvRow::Lead { raw, .. } => raw.note.clone(),
            CsvRow::Rejected { .. } => None,
        }).collect();
        let expected: Vec<_> = picked.iter().map(|i| (!names[*i].trim().is_empty()).then(|| names[*i].clone())).collect();
        prop_assert_eq!(notes, expected);
    }
}
