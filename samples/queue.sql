-- Leads put into the queue by another program: plain SQL, for SQLite and Postgres alike. Create the tables first:
--
--   leadsync db migrate
--   sqlite3 leadsync.db < samples/queue.sql        or        psql "$DATABASE_URL" -f samples/queue.sql
--   leadsync run
--
-- Only the e-mail address is needed. Nothing has to be tidied up: the next run normalises, drops duplicates, and says
-- what it refused and why (`leadsync results --state rejected`).

INSERT INTO leads (email, first_name) VALUES ('ann@example.com', 'Ann');

-- The same person, written otherwise: skipped as a duplicate.
INSERT INTO leads (email, first_name, last_name) VALUES (' Ann@Example.com ', 'Ann', 'Bee');

INSERT INTO leads (email, first_name, last_name, phone, company, job_title, linkedin, source, context, note) VALUES
  ('bruno.castellano@example.org', 'Bruno', 'Castellano', '+1 415 555 0130', 'Cedar & Finch', 'Buyer',
   'https://www.linkedin.com/in/bruno-castellano-example', 'Website', 'Asked for a demo', NULL),
  ('chloe.o-brien@example.org', 'Chloé', 'O''Brien', '(415) 555-0131', 'Pinecrest Partners', NULL,
   NULL, 'Trade fair', NULL, 'Met on the second day');

-- Your own key, and fields of your own as a JSON object.
INSERT INTO leads (email, first_name, external_id, custom_fields) VALUES
  ('daniel.grant@example.net', 'Daniel', 'crm-4711', '{"tier": "gold", "region": "EMEA"}');

-- Not before a moment: milliseconds since 1970-01-01T00:00:00Z (this one is past, so it is due).
INSERT INTO leads (email, first_name, not_before_ms) VALUES ('elif@example.net', 'Elif', 1767225600000);

-- Can't be used: rejected, with the reason.
INSERT INTO leads (email, first_name) VALUES ('no-address-at-all', 'Ned');
