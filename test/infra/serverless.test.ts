import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type PackagedService, packageService } from '../../infra/package-service.ts';

const minimal = { cluster: 'prod' };
const complete = {
  cluster: 'prod',
  endpoint: 'https://prod.example.com',
  certificateAuthority: 'LS0tLS1CRUdJTg==',
  namespaces: 'flink, team-a',
  subnetIds: 'subnet-1,subnet-2',
  securityGroupIds: 'sg-1',
  alarmTopicArn: 'arn:aws:sns:eu-west-1:123456789012:on-call',
  logRetentionInDays: '30',
  queueUrl: 'http://127.0.0.1:9000/ticks',
  reconcileQueueUrl: 'http://127.0.0.1:9000/rounds',
};

let withMinimal: PackagedService;
let withComplete: PackagedService;
let scalingOnly: PackagedService;
beforeAll(async () => {
  withMinimal = await packageService(minimal);
  withComplete = await packageService(complete);
  scalingOnly = await packageService({ ...complete, scalingOnly: 'true' });
}, 60_000);

/** The properties of a resource, loosely typed: a test reads what it expects to be there. */
// biome-ignore lint/suspicious/noExplicitAny: a template's properties have as many types as it has resources.
function properties(service: PackagedService, id: string): any {
  return service.template.Resources[id]?.Properties;
}

const readRoot = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');

const getAtt = (id: string, attribute: string) => ({ 'Fn::GetAtt': [id, attribute] });

describe('the functions', () => {
  const functions = [
    ['schedule', 'ScheduleLambdaFunction', 'ScheduleRole', 10],
    ['scale-check', 'ScaleDashcheckLambdaFunction', 'ScaleCheckRole', 14],
    ['reconcile', 'ReconcileLambdaFunction', 'ReconcileRole', 60],
  ] as const;

  it.each(functions)('%s has its handler, runtime, role and time limit', (name, id, role, timeout) => {
    expect(properties(withMinimal, id)).toMatchObject({
      FunctionName: `headrace-prod-${name}`,
      Handler: `dist/${name}/index.handler`,
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Role: getAtt(role, 'Arn'),
      Timeout: timeout,
    });
  });

  it.each(functions)('%s has a source file of its name', (name) => {
    expect(existsSync(new URL(`../../functions/${name}.ts`, import.meta.url))).toBe(true);
  });

  it.each(functions)('%s is a zip with its own bundle and no other', (name, id) => {
    const zip = withMinimal.zips.get(`${name}.zip`)?.toString('latin1');
    const otherBundles = functions.filter(([other]) => other !== name).map(([other]) => `dist/${other}/`);

    expect(properties(withMinimal, id).Code.S3Key).toMatch(new RegExp(`/${name}\\.zip$`));
    expect(zip).toContain(`dist/${name}/index.cjs`);
    for (const bundle of otherBundles) expect(zip).not.toContain(bundle);
  });

  it('are as many as there are zips', () => {
    expect([...withMinimal.zips.keys()].sort()).toEqual(functions.map(([name]) => `${name}.zip`).sort());
  });

  it('are packaged to the same bytes each time', () => {
    expect(withComplete.zips).toEqual(withMinimal.zips);
  });

  it('are not kept in old versions', () => {
    const types = Object.values(withMinimal.template.Resources).map(({ Type }) => Type);

    expect(types).not.toContain('AWS::Lambda::Version');
  });
});

describe('the ticks', () => {
  it('start every minute, and are not retried when the next minute is there', () => {
    expect(properties(withMinimal, 'ScheduleEventsRuleSchedule1')).toMatchObject({
      ScheduleExpression: 'rate(1 minute)',
      State: 'ENABLED',
      Targets: [{ Arn: getAtt('ScheduleLambdaFunction', 'Arn') }],
    });
    expect(properties(withMinimal, 'ScheduleLambdaEvConf')).toMatchObject({
      MaximumEventAgeInSeconds: 60,
      MaximumRetryAttempts: 0,
    });
  });

  it('go into the queue that scale-check reads one by one', () => {
    const environment = properties(withMinimal, 'ScheduleLambdaFunction').Environment.Variables;

    expect(environment.HEADRACE_QUEUE_URL).toEqual({ Ref: 'TickQueue' });
    expect(properties(withMinimal, 'ScaleDashcheckEventSourceMappingSQSTickQueue')).toMatchObject({
      EventSourceArn: getAtt('TickQueue', 'Arn'),
      FunctionName: getAtt('ScaleDashcheckLambdaFunction', 'Arn'),
      BatchSize: 1,
      Enabled: true,
    });
  });

  it('never outlive their period of 15 s, nor become visible again while they run', () => {
    const timeout = properties(withMinimal, 'ScaleDashcheckLambdaFunction').Timeout;

    expect(timeout).toBeLessThan(15);
    expect(properties(withMinimal, 'TickQueue').VisibilityTimeout).toBeGreaterThanOrEqual(timeout);
  });

  it('end in the dead-letter queue after two attempts, before they expire', () => {
    const { RedrivePolicy, VisibilityTimeout, MessageRetentionPeriod } = properties(withMinimal, 'TickQueue');
    const longestDelaySeconds = 45;

    expect(RedrivePolicy).toEqual({ deadLetterTargetArn: getAtt('TickDeadLetterQueue', 'Arn'), maxReceiveCount: 2 });
    expect(MessageRetentionPeriod).toBeGreaterThan(longestDelaySeconds + 2 * VisibilityTimeout);
    expect(MessageRetentionPeriod).toBeLessThanOrEqual(120);
    expect(properties(withMinimal, 'TickDeadLetterQueue').MessageRetentionPeriod).toBe(24 * 3600);
  });
});

describe('the rounds', () => {
  const urlOf = (service: PackagedService, id: string) =>
    properties(service, id).Environment.Variables.HEADRACE_RECONCILE_QUEUE_URL;
  const callers = ['ScheduleLambdaFunction', 'ScaleDashcheckLambdaFunction', 'ReconcileLambdaFunction'];

  it.each(callers)('are called for by %s, in the queue that reconcile reads one by one', (id) => {
    expect(urlOf(withMinimal, id)).toEqual({ Ref: 'ReconcileQueue' });
    expect(properties(withMinimal, 'ReconcileEventSourceMappingSQSReconcileQueue')).toMatchObject({
      EventSourceArn: getAtt('ReconcileQueue', 'Arn'),
      FunctionName: getAtt('ReconcileLambdaFunction', 'Arn'),
      BatchSize: 1,
      Enabled: true,
      ScalingConfig: { MaximumConcurrency: 10 },
    });
  });

  it.each(callers)('are called for elsewhere in a local invocation of %s', (id) => {
    expect(urlOf(withComplete, id)).toBe('http://127.0.0.1:9000/rounds');
  });

  it('are over when their message becomes visible again, and a second attempt is a minute late', () => {
    const timeout = properties(withMinimal, 'ReconcileLambdaFunction').Timeout;

    expect(properties(withMinimal, 'ReconcileQueue').VisibilityTimeout).toBeGreaterThanOrEqual(timeout);
    expect(properties(withMinimal, 'ReconcileQueue').VisibilityTimeout).toBeGreaterThanOrEqual(60);
  });

  it('end in a dead-letter queue of their own after two attempts, before they expire', () => {
    const { RedrivePolicy, VisibilityTimeout, MessageRetentionPeriod } = properties(withMinimal, 'ReconcileQueue');
    const delaySeconds = 3;

    expect(RedrivePolicy).toEqual({
      deadLetterTargetArn: getAtt('ReconcileDeadLetterQueue', 'Arn'),
      maxReceiveCount: 2,
    });
    expect(MessageRetentionPeriod).toBeGreaterThan(delaySeconds + 2 * VisibilityTimeout);
    expect(MessageRetentionPeriod).toBeLessThanOrEqual(180);
    expect(properties(withMinimal, 'ReconcileDeadLetterQueue').MessageRetentionPeriod).toBe(24 * 3600);
  });

  it.each(callers)('are called for by nobody where only scaling is wanted: not by %s', (id) => {
    expect(urlOf(scalingOnly, id)).toBeUndefined();
  });
});

describe('the configuration', () => {
  const clusters = (service: PackagedService) =>
    JSON.parse(properties(service, 'ScaleDashcheckLambdaFunction').Environment.Variables.HEADRACE_CLUSTERS);

  it('has only the cluster when nothing else is given', () => {
    expect(clusters(withMinimal)).toEqual([{ name: 'prod' }]);
  });

  it('has endpoint, certificate and namespaces when they are given', () => {
    expect(clusters(withComplete)).toEqual([
      {
        name: 'prod',
        endpoint: 'https://prod.example.com',
        certificateAuthority: 'LS0tLS1CRUdJTg==',
        shards: { default: ['flink', 'team-a'] },
      },
    ]);
  });

  it.each(['ScheduleLambdaFunction', 'ReconcileLambdaFunction'])('is the same for all functions: %s', (id) => {
    const environment = properties(withComplete, id).Environment.Variables;

    expect(JSON.parse(environment.HEADRACE_CLUSTERS)).toEqual(clusters(withComplete));
  });

  it('keeps logs for 14 days, or as long as is said', () => {
    expect(properties(withMinimal, 'ScaleDashcheckLogGroup').RetentionInDays).toBe(14);
    expect(properties(withComplete, 'ScaleDashcheckLogGroup').RetentionInDays).toBe(30);
    expect(properties(withComplete, 'ReconcileLogGroup').RetentionInDays).toBe(30);
  });

  it('takes another queue for a local invocation', () => {
    const environment = properties(withComplete, 'ScheduleLambdaFunction').Environment.Variables;

    expect(environment.HEADRACE_QUEUE_URL).toBe('http://127.0.0.1:9000/ticks');
  });
});

describe('the permissions', () => {
  const statements = (service: PackagedService, role: string) =>
    properties(service, role).Policies.flatMap(
      (policy: { PolicyDocument: { Statement: unknown[] } }) => policy.PolicyDocument.Statement,
    );

  const describeCluster = {
    Effect: 'Allow',
    Action: 'eks:DescribeCluster',
    Resource: { 'Fn::Sub': `arn:\${AWS::Partition}:eks:\${AWS::Region}:\${AWS::AccountId}:cluster/prod` },
  };

  it('let schedule write its log and fill the queues, and nothing else', () => {
    expect(statements(withMinimal, 'ScheduleRole')).toEqual([
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: getAtt('ScheduleLogGroup', 'Arn'),
      },
      {
        Effect: 'Allow',
        Action: 'sqs:SendMessage',
        Resource: [getAtt('TickQueue', 'Arn'), getAtt('ReconcileQueue', 'Arn')],
      },
    ]);
    expect(properties(withMinimal, 'ScheduleRole').ManagedPolicyArns).toBeUndefined();
  });

  it('let scale-check write its log, empty its queue, call for rounds and describe its cluster, and nothing else', () => {
    expect(statements(withMinimal, 'ScaleCheckRole')).toEqual([
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: getAtt('ScaleDashcheckLogGroup', 'Arn'),
      },
      {
        Effect: 'Allow',
        Action: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
        Resource: getAtt('TickQueue', 'Arn'),
      },
      { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: getAtt('ReconcileQueue', 'Arn') },
      describeCluster,
    ]);
    expect(properties(withMinimal, 'ScaleCheckRole').ManagedPolicyArns).toEqual([]);
  });

  it('let reconcile write its log, empty and fill its queue and describe its cluster, and nothing else', () => {
    expect(statements(withMinimal, 'ReconcileRole')).toEqual([
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: getAtt('ReconcileLogGroup', 'Arn'),
      },
      {
        Effect: 'Allow',
        Action: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:SendMessage'],
        Resource: getAtt('ReconcileQueue', 'Arn'),
      },
      describeCluster,
    ]);
    expect(properties(withMinimal, 'ReconcileRole').ManagedPolicyArns).toEqual([]);
  });

  it('are in three roles, each assumed by Lambda alone', () => {
    const roles = Object.entries(withMinimal.template.Resources).filter(([, { Type }]) => Type === 'AWS::IAM::Role');

    expect(roles.map(([id]) => id).sort()).toEqual(['ReconcileRole', 'ScaleCheckRole', 'ScheduleRole']);
    for (const [id] of roles)
      expect(properties(withMinimal, id).AssumeRolePolicyDocument.Statement).toEqual([
        { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
      ]);
  });

  it.each([
    ['scale-check', 'ScaleCheckAccessEntry', 'ScaleCheckRole'],
    ['reconcile', 'ReconcileAccessEntry', 'ReconcileRole'],
  ])('make the role of %s the group headrace of the cluster', (_name, entry, role) => {
    expect(properties(withMinimal, entry)).toEqual({
      ClusterName: 'prod',
      PrincipalArn: getAtt(role, 'Arn'),
      Type: 'STANDARD',
      KubernetesGroups: ['headrace'],
    });
  });

  it('name the group to which infra/kubernetes binds its role', () => {
    const documents = parseAllDocuments(readRoot('infra/kubernetes/rbac.yaml')).map((document) => document.toJS());
    const binding = documents.find(({ kind }) => kind === 'ClusterRoleBinding');

    const groups = binding.subjects.map(({ name }: { name: string }) => name);

    expect(properties(withMinimal, 'ScaleCheckAccessEntry').KubernetesGroups).toEqual(groups);
  });
});

describe('the VPC', () => {
  const inside = [
    ['scale-check', 'ScaleDashcheckLambdaFunction', 'ScaleCheckRole'],
    ['reconcile', 'ReconcileLambdaFunction', 'ReconcileRole'],
  ] as const;

  it.each(inside)('is not there unless subnets are given: %s', (_name, id) => {
    expect(properties(withMinimal, id).VpcConfig).toBeUndefined();
  });

  it.each(inside)('holds %s, which then may manage its network interfaces', (_name, id, role) => {
    const policy = 'iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole';

    expect(properties(withComplete, id).VpcConfig).toEqual({
      SubnetIds: ['subnet-1', 'subnet-2'],
      SecurityGroupIds: ['sg-1'],
    });
    expect(properties(withComplete, role).ManagedPolicyArns).toEqual([
      { 'Fn::Join': [':', ['arn', { Ref: 'AWS::Partition' }, policy]] },
    ]);
  });

  it('does not hold schedule, which reaches SQS from outside', () => {
    expect(properties(withComplete, 'ScheduleLambdaFunction').VpcConfig).toBeUndefined();
  });
});

describe('the alarms', () => {
  const alarms = [
    ...['NoTickAlarm', 'DeadLettersAlarm', 'ScaleCheckErrorsAlarm', 'UnjudgedAlarm'],
    ...['NoRoundAlarm', 'ReconcileDeadLettersAlarm', 'ReconcileErrorsAlarm', 'UnreconciledAlarm'],
  ];

  it.each([
    ['tick', 'NoTickAlarm', 'Ticks'],
    ['round', 'NoRoundAlarm', 'Rounds'],
  ])('ring when no %s was completed for 5 minutes', (_what, id, metric) => {
    expect(properties(withMinimal, id)).toMatchObject({
      Namespace: 'Headrace',
      MetricName: metric,
      Dimensions: [{ Name: 'service', Value: 'headrace-prod' }],
      Statistic: 'Sum',
      Period: 60,
      EvaluationPeriods: 5,
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      TreatMissingData: 'breaching',
    });
  });

  it('do not ring for rounds where only scaling is wanted', () => {
    expect(properties(scalingOnly, 'NoRoundAlarm').TreatMissingData).toBe('notBreaching');
    expect(properties(scalingOnly, 'NoTickAlarm').TreatMissingData).toBe('breaching');
  });

  it.each([
    ['Unjudged', 'UnjudgedAlarm'],
    ['Unreconciled', 'UnreconciledAlarm'],
  ])('ring when half of what there is stays %s for 5 minutes', (metric, id) => {
    expect(properties(withMinimal, id)).toMatchObject({
      Namespace: 'Headrace',
      MetricName: metric,
      Statistic: 'Minimum',
      EvaluationPeriods: 5,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      Threshold: 50,
      TreatMissingData: 'notBreaching',
    });
  });

  it.each([
    ['DeadLettersAlarm', 'TickDeadLetterQueue'],
    ['ReconcileDeadLettersAlarm', 'ReconcileDeadLetterQueue'],
  ])('ring when there are dead letters: %s', (id, queue) => {
    expect(properties(withMinimal, id)).toMatchObject({
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [{ Name: 'QueueName', Value: getAtt(queue, 'QueueName') }],
      ComparisonOperator: 'GreaterThanThreshold',
      Threshold: 0,
    });
  });

  it.each([
    ['scale-check', 'ScaleCheckErrorsAlarm', 'ScaleDashcheckLambdaFunction'],
    ['reconcile', 'ReconcileErrorsAlarm', 'ReconcileLambdaFunction'],
  ])('ring when %s keeps crashing or running out of time', (_name, id, functionId) => {
    expect(properties(withMinimal, id)).toMatchObject({
      Namespace: 'AWS/Lambda',
      MetricName: 'Errors',
      Dimensions: [{ Name: 'FunctionName', Value: { Ref: functionId } }],
      EvaluationPeriods: 5,
      DatapointsToAlarm: 3,
      ComparisonOperator: 'GreaterThanThreshold',
      Threshold: 0,
    });
  });

  it('are all looked at here', () => {
    const isAlarm = ([, { Type }]: [string, { Type: string }]) => Type === 'AWS::CloudWatch::Alarm';
    const found = Object.entries(withMinimal.template.Resources).filter(isAlarm);

    expect(found.map(([id]) => id).sort()).toEqual(alarms.toSorted());
  });

  it.each(alarms)('tell the topic, if there is one: %s', (alarm) => {
    expect(properties(withMinimal, alarm)).toMatchObject({ AlarmActions: [], OKActions: [] });
    expect(properties(withComplete, alarm)).toMatchObject({
      AlarmActions: [complete.alarmTopicArn],
      OKActions: [complete.alarmTopicArn],
    });
  });
});

it('tells the roles and the queues of the stack', () => {
  expect(withMinimal.template.Outputs).toMatchObject({
    ScaleCheckRoleArn: { Value: getAtt('ScaleCheckRole', 'Arn') },
    ReconcileRoleArn: { Value: getAtt('ReconcileRole', 'Arn') },
    TickQueueUrl: { Value: { Ref: 'TickQueue' } },
    ReconcileQueueUrl: { Value: { Ref: 'ReconcileQueue' } },
  });
});

describe('the params', () => {
  type Read = (osls: {
    options: { param?: string[] };
    resolveVariable: (address: string) => Promise<unknown>;
  }) => unknown;
  const exported: Record<string, Read> = createRequire(import.meta.url)('../../infra/params.cjs');

  /** Calls an export of params.cjs as osls does, with these params on its command line. */
  const read = async (name: string, params: Record<string, unknown>) =>
    exported[name]?.({
      options: { param: Object.entries(params).map(([key, value]) => `${key}=${value}`) },
      resolveVariable: async (address) => params[address.replace(/^param:(\w+), null$/, '$1')] ?? null,
    });

  it('name the stage after the cluster', async () => {
    expect(await read('stage', { cluster: 'prod' })).toBe('prod');
    expect(await read('stage', {})).toBeNull();
  });

  it('count as absent when empty', async () => {
    expect(await read('vpc', { subnetIds: '', securityGroupIds: '' })).toBeNull();
  });

  it('may be lists in serverless.yml', async () => {
    const params = { subnetIds: ['subnet-1'], securityGroupIds: ['sg-1', 'sg-2'] };

    expect(await read('vpc', params)).toEqual(params);
  });

  it('call for rounds unless only scaling is wanted', async () => {
    expect(await read('reconcileQueueUrl', { scalingOnly: 'false' })).toEqual({ Ref: 'ReconcileQueue' });
    expect(await read('reconcileQueueUrl', { scalingOnly: true, reconcileQueueUrl: 'http://x' })).toBeNull();
  });

  it.each([
    ['clusters', {}, 'which EKS cluster? Add --param=cluster=NAME'],
    ['clusters', { cluster: 'prod', endpoint: 'https://x' }, 'certificateAuthority is missing'],
    ['clusters', { cluster: 'prod', certificateAuthority: 'x' }, 'endpoint is missing'],
    ['vpc', { subnetIds: 'subnet-1' }, 'securityGroupIds is missing'],
    ['vpc', { securityGroupIds: 'sg-1' }, 'subnetIds is missing'],
    ['reconcileQueueUrl', { scalingOnly: 'yes' }, 'scalingOnly must be true or false, but is yes'],
    ['stage', { cluster: 'data_platform' }, 'add --stage NAME'],
    ['stage', { cluster: 'a'.repeat(41) }, 'add --stage NAME'],
  ])('refuse, for %s, %j', async (name, params, message) => {
    await expect(read(name, params)).rejects.toThrow(message);
  });

  it('are all explained in docs/install.md', () => {
    const used = ['serverless.yml', 'infra/resources.yml', 'infra/iam.yml', 'infra/params.cjs']
      .flatMap((file) => [...readRoot(file).matchAll(/(?:\$\{param:|aram\(resolveVariable, ')(\w+)/g)])
      .map((match) => match[1] ?? '');
    const rows = readRoot('docs/install.md')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split('|')[1] ?? '');

    const unexplained = used.filter((name) => !rows.some((row) => row.includes(`\`${name}\``)));

    expect(used).toEqual(expect.arrayContaining(Object.keys(complete)));
    expect(unexplained).toEqual([]);
  });
});
