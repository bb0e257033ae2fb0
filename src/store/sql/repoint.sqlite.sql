-- repoint
UPDATE leads
SET duplicate_of = c.value ->> 'to_id', reason = c.value ->> 'reason', updated_at_ms = $2
FROM json_each($1) AS c
WHERE leads.duplicate_of = c.value ->> 'from_id' AND leads.state = 'skipped'
