// EKS DescribeCluster: the one cluster there is, and its endpoint is the sandbox itself.
import { type Answer, jsonAnswer, type SandboxRequest } from '../exchange.ts';

// A well-formed authority whose key nobody has: the sandbox speaks plain HTTP on the loopback, so nothing is checked against it.
const certificateAuthority = `-----BEGIN CERTIFICATE-----
MIIBjTCCATOgAwIBAgIUQcetsR21OL/k8kIeXLyaj/Dec+MwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQaGVhZHJhY2Utc2FuZGJveDAgFw0yNjExMjIyMjI2NTlaGA8y
MTI2MTAyOTIyMjY1OVowGzEZMBcGA1UEAwwQaGVhZHJhY2Utc2FuZGJveDBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABOij7xYXOZvS3qFdgP/aKstNs/s0aatZEYaO
9Isk6+VtyK4Abc2lMMFwMWbQeKBanokncUFwJ/eynduk1/rq6T2jUzBRMB0GA1Ud
DgQWBBT5CvMQ03rv0SI6Jhi3UOp6nBrcpDAfBgNVHSMEGDAWgBT5CvMQ03rv0SI6
Jhi3UOp6nBrcpDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDF
JuPfo79d3Zlbqsz4zuJWKXgwkBX+U/YrZtSXorUSMQIgSrRZN7yTx5wGDBe0L6xE
EpzxFUIkGZTRzI8d49bAqsU=
-----END CERTIFICATE-----
`;

export interface Cluster {
  readonly name: string;
  readonly region: string;
  readonly endpoint: string;
}

/** Answers GET /clusters/NAME. Undefined for every other request. */
export function answerEks({ method, path }: SandboxRequest, cluster: Cluster): Answer | undefined {
  const name = /^\/clusters\/([^/]+)$/.exec(path)?.[1];
  if (method !== 'GET' || name === undefined) return undefined;
  if (decodeURIComponent(name) !== cluster.name) {
    const message = `No cluster found for name: ${name}.`;
    return jsonAnswer(404, { clusterName: name, message }, { 'x-amzn-errortype': 'ResourceNotFoundException' });
  }
  return jsonAnswer(200, {
    cluster: {
      name: cluster.name,
      arn: `arn:aws:eks:${cluster.region}:000000000000:cluster/${cluster.name}`,
      endpoint: cluster.endpoint,
      certificateAuthority: { data: Buffer.from(certificateAuthority).toString('base64') },
      status: 'ACTIVE',
      version: '1.37',
    },
  });
}
