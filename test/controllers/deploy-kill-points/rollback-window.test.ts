import { loopRolledBack } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

describeKillPoints(loopRolledBack);
