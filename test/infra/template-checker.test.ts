import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { describe, expect, it } from 'vitest';
import { checkTemplate, type Template } from '../../infra/template-checker.ts';

const specification = loadAwsServiceSpecSync();

/** A queue, an alarm on it, a rule and an output: a little of each thing that the checker looks at. */
function aTemplate(): Template {
  return {
    Parameters: { Topic: { Type: 'String' } },
    Conditions: { HasTopic: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'Topic' }, ''] }] } },
    Resources: {
      Queue: {
        Type: 'AWS::SQS::Queue',
        Properties: { VisibilityTimeout: 15, SqsManagedSseEnabled: true, RedrivePolicy: { maxReceiveCount: 2 } },
      },
      Alarm: {
        Type: 'AWS::CloudWatch::Alarm',
        DependsOn: ['Queue'],
        Properties: {
          ComparisonOperator: 'GreaterThanThreshold',
          EvaluationPeriods: 1,
          Threshold: 0.5,
          Dimensions: [{ Name: 'QueueName', Value: { 'Fn::GetAtt': ['Queue', 'QueueName'] } }],
          AlarmActions: { 'Fn::If': ['HasTopic', [{ Ref: 'Topic' }], { Ref: 'AWS::NoValue' }] },
          AlarmDescription: { 'Fn::Sub': `\${Queue.Arn} in \${AWS::Region}, not \${!Literal}` },
          Tags: [{ Key: 'team', Value: 'streams' }],
        },
      },
      Rule: {
        Type: 'AWS::Events::Rule',
        Properties: { State: 'ENABLED', Targets: [{ Arn: { 'Fn::GetAtt': 'Queue.Arn' }, Id: 'queue' }] },
      },
      Answer: { Type: 'Custom::Answer', Properties: { Anything: 42 } },
    },
    Outputs: { Url: { Value: { Ref: 'Queue' } } },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the seeds below break the template's type on purpose.
type Draft = any;

describe('the template checker', () => {
  it('finds no fault in a good template', () => {
    expect(checkTemplate(aTemplate(), specification)).toEqual([]);
  });

  const faults: readonly [name: string, seed: (template: Draft) => unknown, path: string, message: RegExp][] = [
    [
      'an unknown resource type',
      (t) => (t.Resources.Queue.Type = 'AWS::SQS::Queu'),
      'Queue',
      /unknown resource type AWS::SQS::Queu/,
    ],
    [
      'an unknown attribute of a resource',
      (t) => (t.Resources.Queue.Propertys = {}),
      'Queue.Propertys',
      /unknown attribute/,
    ],
    [
      'an unknown property',
      (t) => (t.Resources.Queue.Properties.Visibility = 1),
      'Queue.Properties.Visibility',
      /unknown property/,
    ],
    [
      'an unknown property inside a list',
      (t) => (t.Resources.Rule.Properties.Targets[0].Retry = 1),
      'Rule.Properties.Targets.0.Retry',
      /unknown property/,
    ],
    [
      'text for an integer',
      (t) => (t.Resources.Queue.Properties.VisibilityTimeout = '15'),
      'Queue.Properties.VisibilityTimeout',
      /expected an integer, found "15"/,
    ],
    [
      'a fraction for an integer',
      (t) => (t.Resources.Alarm.Properties.EvaluationPeriods = 1.5),
      'Alarm.Properties.EvaluationPeriods',
      /expected an integer/,
    ],
    [
      'text for a number',
      (t) => (t.Resources.Alarm.Properties.Threshold = '1'),
      'Alarm.Properties.Threshold',
      /expected a number/,
    ],
    [
      'text for a boolean',
      (t) => (t.Resources.Queue.Properties.SqsManagedSseEnabled = 'yes'),
      'Queue.Properties.SqsManagedSseEnabled',
      /expected true or false/,
    ],
    [
      'a number for text',
      (t) => (t.Resources.Queue.Properties.QueueName = 7),
      'Queue.Properties.QueueName',
      /expected a string/,
    ],
    [
      'text for a list',
      (t) => (t.Resources.Alarm.Properties.Dimensions = 'QueueName'),
      'Alarm.Properties.Dimensions',
      /expected a list/,
    ],
    [
      'text for an object',
      (t) => (t.Resources.Rule.Properties.Targets[0] = 'queue'),
      'Rule.Properties.Targets.0',
      /expected an object/,
    ],
    [
      'a tag without a value',
      (t) => (t.Resources.Alarm.Properties.Tags[0] = { Key: 'team' }),
      'Alarm.Properties.Tags.0',
      /expected a tag/,
    ],
    [
      'a wrong type in one branch of Fn::If',
      (t) => (t.Resources.Alarm.Properties.AlarmActions['Fn::If'][2] = 'nobody'),
      'Alarm.Properties.AlarmActions.Fn::If.2',
      /expected a list/,
    ],
    [
      'a value that is not allowed',
      (t) => (t.Resources.Rule.Properties.State = 'ON'),
      'Rule.Properties.State',
      /"ON" is not one of .*ENABLED/,
    ],
    [
      'a missing required property',
      (t) => delete t.Resources.Rule.Properties.Targets[0].Arn,
      'Rule.Properties.Targets.0',
      /required property Arn is missing/,
    ],
    [
      'a required property taken away by AWS::NoValue',
      (t) => (t.Resources.Rule.Properties.Targets[0].Id = { Ref: 'AWS::NoValue' }),
      'Rule.Properties.Targets.0',
      /required property Id is missing/,
    ],
    [
      'a dangling Ref',
      (t) => (t.Resources.Queue.Properties.QueueName = { Ref: 'Nothing' }),
      'Queue.Properties.QueueName',
      /refers to Nothing/,
    ],
    [
      'a dangling Ref inside free-form JSON',
      (t) => (t.Resources.Queue.Properties.RedrivePolicy.deadLetterTargetArn = { Ref: 'Nothing' }),
      'Queue.Properties.RedrivePolicy.deadLetterTargetArn',
      /refers to Nothing/,
    ],
    [
      'a dangling Fn::GetAtt',
      (t) => (t.Resources.Rule.Properties.Targets[0].Arn = { 'Fn::GetAtt': ['Nothing', 'Arn'] }),
      'Rule.Properties.Targets.0.Arn',
      /refers to Nothing/,
    ],
    [
      'an attribute that the resource has not',
      (t) => (t.Resources.Rule.Properties.Targets[0].Arn = { 'Fn::GetAtt': ['Queue', 'Url'] }),
      'Rule.Properties.Targets.0.Arn',
      /AWS::SQS::Queue \(Queue\) has no attribute Url/,
    ],
    [
      'a dangling name in Fn::Sub',
      (t) => (t.Resources.Alarm.Properties.AlarmDescription = { 'Fn::Sub': `\${Nothing}` }),
      'Alarm.Properties.AlarmDescription',
      /refers to Nothing/,
    ],
    [
      'a dangling attribute in Fn::Sub that has names of its own',
      (t) => (t.Resources.Alarm.Properties.AlarmDescription = { 'Fn::Sub': [`\${Own} \${Queue.Url}`, { Own: 'x' }] }),
      'Alarm.Properties.AlarmDescription',
      /has no attribute Url/,
    ],
    ['a dangling DependsOn', (t) => (t.Resources.Alarm.DependsOn = 'Nothing'), 'Alarm.DependsOn', /refers to Nothing/],
    [
      'a dangling Condition',
      (t) => (t.Resources.Alarm.Condition = 'Nothing'),
      'Alarm.Condition',
      /refers to condition Nothing/,
    ],
    [
      'a dangling condition of Fn::If',
      (t) => (t.Resources.Alarm.Properties.AlarmActions['Fn::If'][0] = 'Nothing'),
      'Alarm.Properties.AlarmActions',
      /refers to condition Nothing/,
    ],
  ];

  it.each(faults)('finds %s', (_name, seed, path, message) => {
    const template: Draft = structuredClone(aTemplate());
    seed(template);

    const found = checkTemplate(template, specification);

    expect(found).toEqual([{ path: `Resources.${path}`, message: expect.stringMatching(message) }]);
  });

  it('looks into outputs', () => {
    const template = { ...aTemplate(), Outputs: { Url: { Value: { Ref: 'Nothing' } } } };

    const found = checkTemplate(template, specification);

    expect(found).toEqual([{ path: 'Outputs.Url.Value', message: 'refers to Nothing, which is not in the template' }]);
  });
});
