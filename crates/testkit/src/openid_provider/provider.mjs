// An OpenID provider of npm's oidc-provider. It gives a client access tokens in the form of RFC 9068.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [audience] = process.argv.slice(2);
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'ci', client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    }],
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:registry',
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'push', audience, accessTokenFormat: 'jwt' }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(`listens on ${issuer}`);
});
