// An identity provider on loopback (npm's oidc-provider): PKCE, dynamic registration, JSON Web Tokens as access tokens.
// It prints its URL. Everyone may sign in, under the name that they enter, and is in the group `staff`.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.INTEROP_DIR}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);

const SCOPES = "memories:read memories:write";
const server = createServer((request, response) => handle(request, response));
let handle;
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    scopes: ["openid", "offline_access", ...SCOPES.split(" ")],
    // The SDK's client registers with the scope that it asks for first; later it asks for more.
    extraClientMetadata: {
      properties: ["any_scope"],
      validator: (_context, _key, _value, metadata) => {
        delete metadata.scope;
      },
    },
    clientDefaults: { token_endpoint_auth_method: "none" },
    extraTokenClaims: () => ({ groups: ["staff"] }),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    pkce: { required: () => true },
    ttl: { AccessToken: 300 },
    issueRefreshToken: () => true,
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => process.env.RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: SCOPES,
          audience: resource,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
  handle = provider.callback();
  console.log(`The provider runs at ${issuer}`);
});
