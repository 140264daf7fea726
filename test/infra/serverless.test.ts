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
};

let withMinimal: PackagedService;
let withComplete: PackagedService;
beforeAll(async () => {
  withMinimal = await packageService(minimal);
  withComplete = await packageService(complete);
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

  it('is the same for both functions', () => {
    const ofSchedule = properties(withComplete, 'ScheduleLambdaFunction').Environment.Variables;

    expect(JSON.parse(ofSchedule.HEADRACE_CLUSTERS)).toEqual(clusters(withComplete));
  });

  it('keeps logs for 14 days, or as long as is said', () => {
    expect(properties(withMinimal, 'ScaleDashcheckLogGroup').RetentionInDays).toBe(14);
    expect(properties(withComplete, 'ScaleDashcheckLogGroup').RetentionInDays).toBe(30);
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

  it('let schedule write its log and fill the queue, and nothing else', () => {
    expect(statements(withMinimal, 'ScheduleRole')).toEqual([
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: getAtt('ScheduleLogGroup', 'Arn'),
      },
      { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: getAtt('TickQueue', 'Arn') },
    ]);
    expect(properties(withMinimal, 'ScheduleRole').ManagedPolicyArns).toBeUndefined();
  });

  it('let scale-check write its log, empty the queue and describe its cluster, and nothing else', () => {
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
      {
        Effect: 'Allow',
        Action: 'eks:DescribeCluster',
        Resource: { 'Fn::Sub': `arn:\${AWS::Partition}:eks:\${AWS::Region}:\${AWS::AccountId}:cluster/prod` },
      },
    ]);
    expect(properties(withMinimal, 'ScaleCheckRole').ManagedPolicyArns).toEqual([]);
  });

  it('are in two roles, each assumed by Lambda alone', () => {
    const roles = Object.entries(withMinimal.template.Resources).filter(([, { Type }]) => Type === 'AWS::IAM::Role');

    expect(roles.map(([id]) => id).sort()).toEqual(['ScaleCheckRole', 'ScheduleRole']);
    for (const [id] of roles)
      expect(properties(withMinimal, id).AssumeRolePolicyDocument.Statement).toEqual([
        { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
      ]);
  });

  it('make the role of scale-check the group headrace of the cluster', () => {
    expect(properties(withMinimal, 'ScaleCheckAccessEntry')).toEqual({
      ClusterName: 'prod',
      PrincipalArn: getAtt('ScaleCheckRole', 'Arn'),
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
  it('is not there unless subnets are given', () => {
    expect(properties(withMinimal, 'ScaleDashcheckLambdaFunction').VpcConfig).toBeUndefined();
  });

  it('holds scale-check alone, which then may manage its network interfaces', () => {
    const policy = 'iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole';

    expect(properties(withComplete, 'ScaleDashcheckLambdaFunction').VpcConfig).toEqual({
      SubnetIds: ['subnet-1', 'subnet-2'],
      SecurityGroupIds: ['sg-1'],
    });
    expect(properties(withComplete, 'ScaleCheckRole').ManagedPolicyArns).toEqual([
      { 'Fn::Join': [':', ['arn', { Ref: 'AWS::Partition' }, policy]] },
    ]);
    expect(properties(withComplete, 'ScheduleLambdaFunction').VpcConfig).toBeUndefined();
  });
});

describe('the alarms', () => {
  const alarms = ['NoTickAlarm', 'DeadLettersAlarm', 'ScaleCheckErrorsAlarm', 'UnjudgedAlarm'];

  it('ring when no tick was completed for 5 minutes', () => {
    expect(properties(withMinimal, 'NoTickAlarm')).toMatchObject({
      Namespace: 'Headrace',
      MetricName: 'Ticks',
      Dimensions: [{ Name: 'service', Value: 'headrace-prod' }],
      Statistic: 'Sum',
      Period: 60,
      EvaluationPeriods: 5,
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      TreatMissingData: 'breaching',
    });
  });

  it('ring when there are dead letters', () => {
    expect(properties(withMinimal, 'DeadLettersAlarm')).toMatchObject({
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [{ Name: 'QueueName', Value: getAtt('TickDeadLetterQueue', 'QueueName') }],
      ComparisonOperator: 'GreaterThanThreshold',
      Threshold: 0,
    });
  });

  it('ring when scale-check keeps crashing or running out of time', () => {
    expect(properties(withMinimal, 'ScaleCheckErrorsAlarm')).toMatchObject({
      Namespace: 'AWS/Lambda',
      MetricName: 'Errors',
      Dimensions: [{ Name: 'FunctionName', Value: { Ref: 'ScaleDashcheckLambdaFunction' } }],
      EvaluationPeriods: 5,
      DatapointsToAlarm: 3,
      ComparisonOperator: 'GreaterThanThreshold',
      Threshold: 0,
    });
  });

  it.each(alarms)('tell the topic, if there is one: %s', (alarm) => {
    expect(properties(withMinimal, alarm)).toMatchObject({ AlarmActions: [], OKActions: [] });
    expect(properties(withComplete, alarm)).toMatchObject({
      AlarmActions: [complete.alarmTopicArn],
      OKActions: [complete.alarmTopicArn],
    });
  });
});

it('tells the role and the queue of the stack', () => {
  expect(withMinimal.template.Outputs).toMatchObject({
    ScaleCheckRoleArn: { Value: getAtt('ScaleCheckRole', 'Arn') },
    TickQueueUrl: { Value: { Ref: 'TickQueue' } },
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

  it.each([
    ['clusters', {}, 'which EKS cluster? Add --param=cluster=NAME'],
    ['clusters', { cluster: 'prod', endpoint: 'https://x' }, 'certificateAuthority is missing'],
    ['clusters', { cluster: 'prod', certificateAuthority: 'x' }, 'endpoint is missing'],
    ['vpc', { subnetIds: 'subnet-1' }, 'securityGroupIds is missing'],
    ['vpc', { securityGroupIds: 'sg-1' }, 'subnetIds is missing'],
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
