// A real oidc-provider on loopback: `node server.js PACKAGES PORT LIFE REFRESH_LIFE [AUDIENCE]`, lives in seconds.
// A client that names the audience as its resource (RFC 8707) gets access tokens that are JWTs for it (RFC 9068);
// otherwise they are texts that say nothing.
// Refresh tokens rotate, and the reuse of an old one ends the whole grant.

const [packages, port, life, refreshLife, audience] = process.argv.slice(2);
const { default: Provider, errors } = await import(`${packages}/oidc-provider/lib/index.js`);

const issuer = `http://127.0.0.1:${port}`;
const native = {
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1/callback'],
};
const device = 'urn:ietf:params:oauth:grant-type:device_code';

const resourceIndicators = {
  enabled: true,
  async getResourceServerInfo(ctx, resource) {
    if (resource !== audience) throw new errors.InvalidTarget();
    return { audience, accessTokenFormat: 'jwt', accessTokenTTL: Number(life), scope: '' };
  },
};

const provider = new Provider(issuer, {
  clients: [
    { ...native, client_id: 'field-notes', grant_types: ['authorization_code', 'refresh_token', device] },
    { ...native, client_id: 'no-refresh', grant_types: ['authorization_code'] },
  ],
  features: { deviceFlow: { enabled: true }, revocation: { enabled: true }, ...(audience && { resourceIndicators }) },
  claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  rotateRefreshToken: true,
  ttl: {
    AccessToken: Number(life),
    DeviceCode: 60,
    Grant: 3600,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: Number(refreshLife),
    Session: 3600,
  },
  async findAccount(ctx, id) {
    return {
      accountId: id,
      claims: () => ({ sub: id, name: `Name of ${id}`, email: `${id}@example.com` }),
    };
  },
});

provider.on('server_error', (ctx, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log(JSON.stringify({ url: issuer })));
