-- sealed_tokens
SELECT account AS name, sealed FROM tokens WHERE sealed IS NOT NULL ORDER BY account
