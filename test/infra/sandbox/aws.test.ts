import { DescribeClusterCommand, EKSClient } from '@aws-sdk/client-eks';
import {
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ clusterName: 'prod' });
});
afterEach(() => sandbox.close());

function clientSettings() {
  const { AWS_REGION: region = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = sandbox.env;
  const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
  return { region, credentials, endpoint: sandbox.url, maxAttempts: 1 };
}

describe('SQS, through its SDK', () => {
  const queue = () => ({ QueueUrl: sandbox.env.HEADRACE_QUEUE_URL });
  const receive = async (sqs: SQSClient) => {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ ...queue(), MaxNumberOfMessages: 10 }));
    return Messages;
  };

  it('delivers each message of a batch when its delay is over', async () => {
    const sqs = new SQSClient(clientSettings());
    const Entries = [0, 15].map((DelaySeconds) => ({
      Id: `t${DelaySeconds}`,
      MessageBody: `${DelaySeconds}`,
      DelaySeconds,
    }));
    const { Successful } = await sqs.send(new SendMessageBatchCommand({ ...queue(), Entries }));
    const first = await receive(sqs);
    sandbox.clock.advance(15);
    const second = await receive(sqs);

    expect(Successful?.map(({ Id }) => Id)).toEqual(['t0', 't15']);
    expect([first, second].map((messages) => messages.map(({ Body }) => Body))).toEqual([['0'], ['15']]);
  });

  it('delivers a message again unless it was deleted in time', async () => {
    const sqs = new SQSClient(clientSettings());
    await sqs.send(new SendMessageCommand({ ...queue(), MessageBody: 'tick' }));
    await receive(sqs);
    const hidden = await receive(sqs);
    sandbox.clock.advance(30);
    const [again] = await receive(sqs);
    await sqs.send(new DeleteMessageCommand({ ...queue(), ReceiptHandle: again?.ReceiptHandle }));

    expect(hidden).toEqual([]);
    expect(again?.Attributes?.ApproximateReceiveCount).toBe('2');
    expect(sandbox.queue.messages).toEqual([]);
  });

  it('refuses what SQS refuses', async () => {
    const sqs = new SQSClient(clientSettings());
    const message = { MessageBody: 'tick' };
    const eleven = Array.from({ length: 11 }, (_, index) => ({ Id: `${index}`, ...message }));
    const twins = [
      { Id: 'a', ...message },
      { Id: 'a', ...message },
    ];
    const tooLate = new SendMessageBatchCommand({ ...queue(), Entries: [{ Id: 'a', ...message, DelaySeconds: 901 }] });

    await expect(sqs.send(new SendMessageBatchCommand({ ...queue(), Entries: eleven }))).rejects.toThrow(
      /entries per request/,
    );
    await expect(sqs.send(new SendMessageBatchCommand({ ...queue(), Entries: twins }))).rejects.toThrow(/same Id/);
    await expect(sqs.send(new SendMessageCommand({ QueueUrl: `${sandbox.url}/1/none`, ...message }))).rejects.toThrow(
      expect.objectContaining({ name: expect.stringMatching(/QueueDoesNotExist|NonExistentQueue/) }),
    );
    expect((await sqs.send(tooLate)).Failed).toMatchObject([{ Id: 'a', Code: 'InvalidParameterValue' }]);
  });
});

describe('EKS, through its SDK', () => {
  it('describes the one cluster, whose endpoint is the sandbox', async () => {
    const { cluster } = await new EKSClient(clientSettings()).send(new DescribeClusterCommand({ name: 'prod' }));

    expect(cluster).toMatchObject({ name: 'prod', endpoint: sandbox.url, status: 'ACTIVE' });
    expect(Buffer.from(cluster?.certificateAuthority?.data ?? '', 'base64').toString()).toMatch(
      /^-----BEGIN CERTIFICATE/,
    );
  });

  it('knows no other cluster', async () => {
    const asked = new EKSClient(clientSettings()).send(new DescribeClusterCommand({ name: 'test' }));

    await expect(asked).rejects.toThrow(expect.objectContaining({ name: 'ResourceNotFoundException' }));
  });
});
