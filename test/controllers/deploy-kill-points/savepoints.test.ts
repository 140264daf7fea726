import { savepointsTended } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

describeKillPoints(savepointsTended);
