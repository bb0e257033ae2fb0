-- repoint
UPDATE leads
SET duplicate_of = c.to_id, reason = c.reason, updated_at_ms = $2
FROM json_to_recordset($1::json) AS c (from_id bigint, to_id bigint, reason text)
WHERE leads.duplicate_of = c.from_id AND leads.state = 'skipped'
