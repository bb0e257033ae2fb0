-- reseal_token
UPDATE tokens SET sealed = $3 WHERE account = $1 AND sealed = $2
