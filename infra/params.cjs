// What the params of a deployment (`--param=NAME=VALUE`) become in serverless.yml and infra/*.yml.
//
// YAML can insert a value, but cannot leave a property out when the value is absent, split a list, or write JSON.
// Those few steps are here, and nothing else: each export is one `${file(./infra/params.cjs):NAME}`.
// (CommonJS, because osls loads this file with require and asks the functions of module.exports.)

/**
 * The stage when `--stage` is absent: the name of the cluster on the command line, or null.
 *
 * Stack and functions are named after the stage. Two clusters are two stacks: were there one name for all, deploying for
 * a second cluster would quietly take the first one's scaling away. (Only the command line can be asked, because osls
 * chooses among the params of serverless.yml by the stage.)
 */
exports.stage = ({ options }) => {
  const cluster = options.param?.findLast((param) => param.startsWith('cluster='))?.slice('cluster='.length);
  if (cluster === undefined) return null;
  // Stack names have no underscore; and 40 characters leave room for "headrace-" and "-scale-check" in Lambda's 64.
  if (!/^[A-Za-z0-9-]{1,40}$/.test(cluster))
    throw fault(`"${cluster}" cannot name a stack: add --stage NAME (letters, digits and hyphens, at most 40)`);
  return cluster;
};

/** The JSON of HEADRACE_CLUSTERS. What is not given is not in it: no endpoint means "ask EKS", no shards "all namespaces". */
exports.clusters = async ({ resolveVariable }) => {
  const cluster = await param(resolveVariable, 'cluster');
  if (cluster === undefined) throw fault('which EKS cluster? Add --param=cluster=NAME');
  const endpoint = await param(resolveVariable, 'endpoint');
  const certificateAuthority = await param(resolveVariable, 'certificateAuthority');
  requireBothOrNeither({ endpoint, certificateAuthority });
  const namespaces = await listParam(resolveVariable, 'namespaces');

  return JSON.stringify([
    {
      name: cluster,
      ...(endpoint && { endpoint, certificateAuthority }),
      ...(namespaces && { shards: { default: namespaces } }),
    },
  ]);
};

/** The VPC of the functions that speak to the cluster, or null: a function without one reaches public endpoints only. */
exports.vpc = async ({ resolveVariable }) => {
  const subnetIds = await listParam(resolveVariable, 'subnetIds');
  const securityGroupIds = await listParam(resolveVariable, 'securityGroupIds');
  requireBothOrNeither({ subnetIds, securityGroupIds });
  return subnetIds ? { subnetIds, securityGroupIds } : null;
};

/** Managed policies of their roles: in a VPC, AWS's own for the network interfaces of a function; otherwise none. */
exports.vpcPolicies = async ({ resolveVariable }) => {
  const subnetIds = await listParam(resolveVariable, 'subnetIds');
  const policy = 'iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole';
  return subnetIds ? [{ 'Fn::Join': [':', ['arn', { Ref: 'AWS::Partition' }, policy]] }] : [];
};

/** Where rounds of deployments are called for: the stack's queue, another one for a local invocation, or null where only scaling is wanted. */
exports.reconcileQueueUrl = async ({ resolveVariable }) => {
  if (await isScalingOnly(resolveVariable)) return null;
  return (await param(resolveVariable, 'reconcileQueueUrl')) ?? { Ref: 'ReconcileQueue' };
};

/** What it means that no round was counted. */
exports.missingRounds = async ({ resolveVariable }) =>
  (await isScalingOnly(resolveVariable)) ? 'notBreaching' : 'breaching';

async function isScalingOnly(resolveVariable) {
  const value = String((await param(resolveVariable, 'scalingOnly')) ?? false);
  if (value !== 'true' && value !== 'false') throw fault(`scalingOnly must be true or false, but is ${value}`);
  return value === 'true';
}

/** Whom the alarms tell: the SNS topics, or nobody. */
exports.alarmActions = async ({ resolveVariable }) => (await listParam(resolveVariable, 'alarmTopicArn')) ?? [];

/** How long logs are kept, in days: a number, as every value on the command line is a string. */
exports.logRetentionInDays = async ({ resolveVariable }) =>
  Number((await param(resolveVariable, 'logRetentionInDays')) ?? 14);

/** A list: comma-separated on the command line, or an array of `params:` in serverless.yml. */
async function listParam(resolveVariable, name) {
  const value = await param(resolveVariable, name);
  return typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
}

/** An empty value counts as absent, so that a script may pass what it does not have. */
async function param(resolveVariable, name) {
  const value = await resolveVariable(`param:${name}, null`);
  return value === null || value === '' ? undefined : value;
}

function requireBothOrNeither(params) {
  const missing = Object.keys(params).filter((name) => params[name] === undefined);
  if (missing.length === 1) throw fault(`${Object.keys(params).join(' and ')} go together: ${missing[0]} is missing`);
}

/** osls prints the stack of an error thrown here; the sentence is all that a user needs. */
function fault(message) {
  const error = new Error(message);
  error.stack = message;
  return error;
}
