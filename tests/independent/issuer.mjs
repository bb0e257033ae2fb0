// oauth2-mock-server, made as strict as RFC 9700 wants a token service, with a small API behind its tokens.
//
// The server itself answers to anybody: what it hands out, how it reads a request and how it checks PKCE is its own; who
// may have it is decided here, in its hooks. It ends when its standard input does.
//
// Arguments: FOLDER OPTIONS, with node_modules in FOLDER; OPTIONS, as JSON:
//   clients      {id: secret}
//   seeds        refresh tokens that begin a chain
//   expires_in   seconds that an access token lives
//   grace        a refresh token may be exchanged again until its successor is, as some services allow for lost answers
//   token_path   where tokens are asked for
//   routes       [{method, path, status, body}]: what the API answers to a good token
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, text] = process.argv.slice(-2);
const require = createRequire(join(folder, 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { Events, OAuth2Server } = await load('oauth2-mock-server');
const { createLocalJWKSet, jwtVerify } = await load('jose');

const options = { seeds: [], expires_in: 3600, grace: false, token_path: '/oauth/token', routes: [], ...JSON.parse(text) };
const { clients, seeds, expires_in, grace, token_path, routes } = options;

const book = {
  tokens: [], // what was asked for, in order, and with what it was answered
  calls: [], // of the API
  replays: 0, // spent refresh tokens that were presented
  revoked: 0, // chains that ended so
};
const chains = seeds.map((seed) => ({ current: seed, spent: [], revoked: false }));
const codes = new Map();
let issued = new Set(); // the numbers of the tokens that are good

const server = new OAuth2Server(undefined, undefined, {
  endpoints: { token: token_path, authorize: '/oauth/authorize' },
});
const service = server.service;

// The client, wherever it stands (RFC 6749, 2.3.1). Id and secret in a header are not form-encoded: AWS Cognito's way.
function client(req) {
  const header = req.headers.authorization ?? '';
  if (header.startsWith('Basic ')) {
    const pair = Buffer.from(header.slice(6), 'base64').toString('utf8');
    const colon = pair.indexOf(':');
    return { place: 'basic', id: pair.slice(0, colon), secret: pair.slice(colon + 1) };
  }
  return { place: 'body', id: req.body.client_id, secret: req.body.client_secret };
}

function refuse(response, statusCode, error) {
  response.statusCode = statusCode;
  response.body = { error };
}

// A chain begins with what is handed out.
function begin(response) {
  chains.push({ current: response.body.refresh_token, spent: [], revoked: false });
}

// A refresh token, spent by this.
function exchange(response, presented) {
  const chain = chains.find((it) => it.current === presented || it.spent.includes(presented));
  if (chain === undefined) return refuse(response, 400, 'invalid_grant');
  if (chain.current !== presented) {
    book.replays += 1;
    if (!(grace && chain.spent.at(-1) === presented)) {
      if (!chain.revoked) book.revoked += 1;
      chain.revoked = true;
    }
  }
  if (chain.revoked) return refuse(response, 400, 'invalid_grant');
  if (chain.current === presented) chain.spent.push(presented);
  chain.current = response.body.refresh_token;
}

function redeem(response, { code, redirect_uri, code_verifier }) {
  const asked = codes.get(code);
  codes.delete(code);
  const good = asked && asked.redirect_uri === redirect_uri && asked.method === 'S256' && code_verifier;
  if (!good) return refuse(response, 400, 'invalid_grant');
  begin(response);
}

service.on(Events.BeforeAuthorizeRedirect, ({ url }, req) => {
  const { redirect_uri, code_challenge_method: method } = req.query;
  codes.set(url.searchParams.get('code'), { redirect_uri, method });
});

service.on(Events.BeforeTokenSigning, (token) => {
  token.payload.exp = token.payload.iat + expires_in;
  token.payload.jti = crypto.randomUUID();
  issued.add(token.payload.jti);
});

service.on(Events.BeforeResponse, (response, req) => {
  const { id, secret, place } = client(req);
  const { grant_type: grant, refresh_token, scope } = req.body;
  const encoding = req.headers['content-type'].includes('json') ? 'json' : 'form';
  response.body.expires_in = expires_in;
  if (id === undefined || clients[id] !== secret) refuse(response, 401, 'invalid_client');
  else if (grant === 'refresh_token') exchange(response, refresh_token);
  else if (grant === 'authorization_code') redeem(response, req.body);
  else if (grant === 'password') begin(response);
  const fields = Object.keys(req.body).sort();
  const status = response.statusCode;
  book.tokens.push({ grant, client: id, place, encoding, scope, refresh_token, fields, status });
});

// The API: a token is good if the server's own key signed it, it lives, and nobody revoked it.
async function caller(req) {
  const [, token] = (req.headers.authorization ?? '').split('Bearer ');
  if (!token) return undefined;
  try {
    const keys = createLocalJWKSet({ keys: server.issuer.keys.toJSON() });
    const { payload } = await jwtVerify(token, keys, { issuer: server.issuer.url, clockTolerance: 0 });
    return issued.has(payload.jti) ? payload : undefined;
  } catch {
    return undefined;
  }
}

function send(res, status, body) {
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify(body));
}

for (const { method, path, status, body } of routes) {
  service.addRoute(method, path, async (req, res) => {
    const payload = await caller(req);
    book.calls.push({ method, url: req.url, body: req.body, jti: payload?.jti, status: payload ? status : 401 });
    if (!payload) return send(res, 401, { error: 'invalid_token' });
    const number = book.calls.filter((call) => call.status === status).length;
    send(res, status, JSON.parse(JSON.stringify(body).replaceAll('{n}', number)));
  });
}

// For the tests.
service.addRoute('GET', '/book', (_req, res) => send(res, 200, book));
// Access tokens end, the chains stay good.
service.addRoute('POST', '/revoke-access', (_req, res) => {
  issued = new Set();
  send(res, 200, {});
});

await server.issuer.keys.generate('RS256');
await server.start(0, '127.0.0.1');
console.log(`listening on http://127.0.0.1:${server.address().port}`);
