"""Every fault of the network, through `bhvm sim`, seen from inside of real guests; and a capture that tshark agrees with."""

import collections
import pathlib
import re
import shutil
import unittest

import clusters
import support

TRANSFER = (pathlib.Path(__file__).resolve().parents[2] / "scenarios/tcp-transfer.toml").read_text()


class Tests(support.TestCase):

    def sim(self, scenario, *options, status=0):
        folder = self.enterContext(support.folder())
        run = clusters.sim(scenario, folder, *options)
        if run.status != status:
            consoles = "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}"
                                 for path in sorted(run.folder.glob("*.console.log")))
            self.fail(f"exit status {run.status}, not {status}\n{run.stderr[-3000:]}\n{consoles}")
        self.assertAllFramesAccountedFor(run)
        return run

    def assertAllFramesAccountedFor(self, run):
        """The equations of docs/NETWORK.md: from the sender's card through switch and links to the receiver's guest."""
        nodes, switch, links = run.stats["nodes"], run.stats["switch"], run.stats["links"]
        self.assertEqual(sum(node["frames_sent"] for node in nodes.values()), sum(switch.values()))
        self.assertEqual(sum(link["frames"] for link in links),
                         switch["unicast"] + switch["flooded"] * (len(nodes) - 1))
        for link in links:
            self.assertEqual(link["frames"], link["delivered_frames"] - link["duplicated"] + link["lost"]
                             + link["blocked"] + link["overflowed"] + link["waiting"], link)
        for name, node in nodes.items():
            arrived = sum(link["delivered_frames"] for link in links if link["to"] == name)
            card = node["card"]
            self.assertEqual(arrived, sum(card.values()) - card["send_refused"], f"{name}: {card}")

    def ping(self, faults, count=30, other=""):
        """Pings once a second; `faults` is what is added to the scenario."""
        return self.sim(clusters.PING.format(count=count, other=other) + faults)

    def assertFault(self, run, kind, begin_s, end_s):
        times = {event["event"]: event["time_ns"] for event in run.events if event.get("fault") == kind}
        self.assertEqual(times, {"fault-begins": begin_s * 10**9, "fault-ends": end_s * 10**9})

    # ---- one kind of fault at a time ----

    def test_without_faults(self):
        run = self.ping("")
        self.assertEqual([reply.seq for reply in run.replies("a")], list(range(30)))
        self.assertLess(max(reply.ms for reply in run.replies("a")), 1)

    def test_partition(self):
        run = self.ping('[[faults]]\nkind = "partition"\nshape = "node"\nnodes = ["b"]\nat = "5500ms"\n'
                        'duration = "10s"\n')
        seen = [reply.seq for reply in run.replies("a")]
        self.assertEqual(seen[:6], [0, 1, 2, 3, 4, 5])
        self.assertFalse(set(range(6, 15)) & set(seen), seen)
        self.assertEqual(seen[-10:], list(range(20, 30)))
        self.assertGreater(run.link("a", "b")["blocked"], 5)
        self.assertFault(run, "partition", 5.5, 15.5)

    def test_latency(self):
        run = self.ping('[[faults]]\nkind = "latency"\nlatency = "200ms"\nat = "5500ms"\nduration = "10s"\n')
        for reply in run.replies("a"):
            if 6 <= reply.seq <= 14:
                self.assertAlmostEqual(reply.ms, 400, delta=2)
            if not 5 <= reply.seq <= 16:
                self.assertLess(reply.ms, 1)
        self.assertEqual(len(run.replies("a")), 30)
        self.assertFault(run, "latency", 5.5, 15.5)

    def test_loss(self):
        run = self.ping('[[faults]]\nkind = "loss"\nprobability = "50%"\nat = "5500ms"\nduration = "40s"\n'
                        'links = [["a", "b"]]\n', count=60)
        seen = {reply.seq for reply in run.replies("a")}
        self.assertLessEqual(set(range(6)) | set(range(50, 60)), seen)
        lost = [seq for seq in range(6, 45) if seq not in seen]
        self.assertTrue(8 <= len(lost) <= 31, lost)
        self.assertGreaterEqual(run.link("a", "b")["lost"], len(lost))
        self.assertEqual(run.link("b", "a")["lost"], 0, "the way back is another link")

    def test_duplicate(self):
        run = self.ping('[[faults]]\nkind = "duplicate"\nprobability = "100%"\nat = "5500ms"\nduration = "10s"\n'
                        'links = [["b", "a"]]\n')
        twice = {reply.seq for reply in run.replies("a") if reply.duplicate}
        self.assertEqual(twice, set(range(6, 16)))
        self.assertGreaterEqual(run.link("b", "a")["duplicated"], 10)

    def test_reorder(self):
        run = self.ping('[[faults]]\nkind = "reorder"\nprobability = "50%"\nreorder_delay = "5s"\nat = "5500ms"\n'
                        'duration = "20s"\n', count=40)
        order = [reply.seq for reply in run.replies("a")]
        self.assertEqual(order[:6], [0, 1, 2, 3, 4, 5])
        self.assertNotEqual(order, sorted(order))
        self.assertEqual(order[-5:], [35, 36, 37, 38, 39])

    def test_corrupt(self):
        run = self.ping('[[faults]]\nkind = "corrupt"\nprobability = "100%"\nat = "5500ms"\nduration = "20s"\n'
                        'links = [["b", "a"]]\n', count=40)
        seen = {reply.seq for reply in run.replies("a")}
        self.assertLessEqual(set(range(6)) | set(range(30, 40)), seen)
        self.assertGreater(run.counter("a", "Icmp", "InCsumErrors"), 5)
        self.assertGreater(run.link("b", "a")["corrupted"], 15)

    def test_clog_and_release(self):
        run = self.ping('[[faults]]\nkind = "clog"\nat = "5500ms"\nduration = "5s"\nlinks = [["a", "b"]]\n')
        replies = run.replies("a")
        self.assertEqual([reply.seq for reply in replies], list(range(30)), "all arrive, in their order")
        for reply in replies:
            if 6 <= reply.seq <= 10:
                self.assertAlmostEqual(reply.ms, 1000 * (10.5 - reply.seq), delta=50)
                self.assertAlmostEqual(reply.seconds, 10.5, delta=0.05)
            else:
                self.assertLess(reply.ms, 50 if reply.seq == 0 else 1)
        self.assertGreaterEqual(run.link("a", "b")["clogged"], 5)

    def test_bandwidth_clamp(self):
        scenario = re.sub(r'^(loss|duplicate|reorder|corrupt|jitter) = .*\n', "", TRANSFER, flags=re.M)
        free = self.transfer_s(self.sim(scenario))
        run = self.sim(scenario + '[[faults]]\nkind = "bandwidth"\nbandwidth = "4Mbit"\nat = "0s"\nduration = "60s"\n')
        self.assertLess(free, 1)
        self.assertAlmostEqual(self.transfer_s(run), 2097152 * 8 / 4e6, delta=1)

    # ---- what the links deliver and no guest gets ----

    def test_a_card_that_nobody_empties_overflows(self):
        """b sends 1,640 fragments to a, which stands still: its guest has given buffers for 256, its card holds as many."""
        run = self.sim(clusters.PING.format(count=20, other="sleep 6; ping -s 60000 -i 0.05 -c 40 a")
                       + '[[faults]]\nkind = "pause"\nnodes = ["a"]\nat = "5s"\nduration = "5s"\n')
        card = run.stats["nodes"]["a"]["card"]
        sent = run.link("b", "a")["frames"]
        self.assertGreater(card["queue_full"], 100, card)
        self.assertGreater(card["delivered"], 256, card)
        self.assertGreaterEqual(card["queue_full"], sent - 512 - 100, f"of {sent}: {card}")

    def test_a_node_that_is_down_gets_nothing(self):
        run = self.sim(clusters.PING.format(count=20, other="")
                       + '[[faults]]\nkind = "kill"\nnodes = ["b"]\nat = "5500ms"\nduration = "5s"\n')
        card = run.stats["nodes"]["b"]["card"]
        self.assertGreater(card["down"], 2, card)
        self.assertGreater(card["not_ready"] + card["down"], 4, "a restart has no driver for a while")
        self.assertEqual(card["queue_full"], 0, card)

    # ---- shapes of partitions ----

    NODES = ["n1", "n2", "n3", "n4", "n5"]
    MESH = '''
        name = "mesh"
        max_time = "20s"
        quiet = "4s"
        [images.tiny]
        packages = ["busybox-static"]
        [[nodes]]
        name = "n"
        count = 5
        role = "free"
        memory = "64M"
        command = """
          while :; do
            for n in n1 n2 n3 n4 n5; do
              [ $n = n$NODE_NUMBER ] || ping -c 1 -W 1 $n > /tmp/$n && echo reaches $n &
            done
            grep -h Icmp: /proc/net/snmp | tail -n 1 | cut -d " " -f 10 | sed "s/^/asked /"
            sleep 1
          done
        """
        [[faults]]
        kind = "partition"
        at = "4s"
        duration = "10s"
    '''

    def mesh(self, shape, nodes=()):
        """Who reaches whom during a partition, as pairs; who was asked something, by node."""
        names = ", ".join(f'"{node}"' for node in nodes)
        run = self.sim(self.MESH + f'shape = "{shape}"\n' + (f"nodes = [{names}]\n" if nodes else ""))
        pairs = collections.defaultdict(set)
        asked = {}
        for node in self.NODES:
            for line in run.console(node):
                word, _, rest = line.text.partition(" ")
                if word == "reaches" and rest != node:
                    phase = "before" if line.seconds < 4 else "during" if 6 < line.seconds < 14 else "after"
                    pairs[phase].add((node, rest))
                if word == "asked" and 6 < line.seconds < 14:
                    asked.setdefault(node, []).append(int(rest))
        everyone = {(a, b) for a in self.NODES for b in self.NODES if a != b}
        self.assertEqual(pairs["before"], everyone)
        self.assertEqual(pairs["after"], everyone)
        return pairs["during"], {node: counts[-1] - counts[0] for node, counts in asked.items()}

    def test_partition_into_halves(self):
        pairs, _ = self.mesh("halves", ["n1", "n2"])
        left, right = {"n1", "n2"}, {"n3", "n4", "n5"}
        self.assertEqual(pairs, {(a, b) for side in (left, right) for a in side for b in side if a != b})

    def test_partition_of_one_node(self):
        pairs, asked = self.mesh("node", ["n3"])
        others = {"n1", "n2", "n4", "n5"}
        self.assertEqual(pairs, {(a, b) for a in others for b in others if a != b})
        self.assertEqual(asked["n3"], 0)

    def test_partition_of_one_direction(self):
        pairs, asked = self.mesh("direction", ["n3"])
        others = {"n1", "n2", "n4", "n5"}
        self.assertEqual(pairs, {(a, b) for a in others for b in others if a != b})
        self.assertGreater(asked["n3"], 0, "it hears, and is not heard")

    def test_partition_with_a_bridge(self):
        pairs, _ = self.mesh("bridge", ["n3"])
        with_bridge = {pair for pair in pairs if "n3" in pair}
        self.assertEqual(len(with_bridge), 8, "the bridge reaches all and is reached by all")
        across = {frozenset(pair) for pair in pairs - with_bridge}
        self.assertIn(len(across), (1, 2, 3), "of six pairs without the bridge, those within one side")

    def test_partition_into_a_ring(self):
        pairs, _ = self.mesh("ring")
        neighbours = {node: {b for a, b in pairs if a == node} for node in self.NODES}
        self.assertEqual({len(of_one) for of_one in neighbours.values()}, {2}, neighbours)
        around = ["n1", sorted(neighbours["n1"])[0]]
        while around[-1] != "n1":
            around += neighbours[around[-1]] - {around[-2]}
        self.assertEqual(len(around), 6, "one ring, not several")

    # ---- a TCP transfer under everything at once ----

    def transfer_s(self, run):
        times = {line.text: line.seconds for line in run.console("sender") if line.text in ("begin", "end")}
        return times["end"] - times["begin"]

    def test_tcp_transfer_arrives_intact(self):
        run = self.sim(TRANSFER)
        self.assertRegex(run.text("receiver"), "intact [0-9a-f]{64}")
        for link in (run.link("sender", "receiver"), run.link("receiver", "sender")):
            for kind in ("lost", "duplicated", "reordered", "corrupted"):
                self.assertGreater(link[kind], 2, f"{kind} from {link['from']} to {link['to']}")

    def test_tcp_transfers_of_other_seeds(self):
        hashes = set()
        for seed in ("1", "2", "3"):
            run = self.sim(TRANSFER, "--seed", seed)
            hashes.add(run.stats["state_hash"])
        self.assertEqual(len(hashes), 3)

    def test_jobs_change_nothing(self):
        runs = [self.sim(TRANSFER, "--jobs", jobs) for jobs in ("1", "2", "4")]
        for run in runs[1:]:
            self.assertEqual(run.stats["state_hash"], runs[0].stats["state_hash"])
            self.assertEqual(run.capture.read_bytes(), runs[0].capture.read_bytes())

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_counters_agree_with_tshark(self):
        run = self.sim(TRANSFER)
        nodes = ("receiver", "sender")
        rows = clusters.tshark(run.capture, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                               fields=("frame.interface_name", "frame.packet_flags_direction", "frame.packet_id",
                                       "frame.len", "frame.comment"))
        sender_of = {}
        seen = {pair: collections.Counter() for pair in (nodes, nodes[::-1])}
        for interface, direction, packet, size, comment in rows:
            outbound = int(direction, 16) == 2
            source = sender_of.setdefault(packet, interface) if outbound else sender_of[packet]
            target = nodes[source == nodes[0]] if outbound else interface
            counts = seen[source, target]
            words = re.findall(r"[a-z]+", comment)
            if outbound:
                counts["frames"] += 1
                counts["bytes"] += int(size)
                counts["lost"] += "lost" in words
            else:
                counts["delivered_frames"] += 1
                counts["delivered_bytes"] += int(size)
                counts["duplicated"] += "duplicate" in words
                counts["corrupted"] += "corrupted" in words
                counts["reordered"] += "reordered" in words and "duplicate" not in words
        for (source, target), counts in seen.items():
            link = run.link(source, target)
            for name in ("frames", "bytes", "delivered_frames", "delivered_bytes", "lost", "duplicated", "corrupted",
                         "reordered"):
                self.assertEqual(counts[name], link[name], f"{name} from {source} to {target}")
            self.assertEqual(link["frames"] - link["lost"] + link["duplicated"], link["delivered_frames"])

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_tshark_sees_the_faults_by_itself(self):
        """Without the comments: what the protocols' own fields say."""
        run = self.sim(TRANSFER)
        check = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
        count = lambda expression: len(clusters.tshark(run.capture, *check, "-Y", expression))
        link = run.link("sender", "receiver")
        back = run.link("receiver", "sender")
        bad = count('tcp.checksum.status == "Bad" || ip.checksum.status == "Bad"')
        corrupted = link["corrupted"] + back["corrupted"]
        self.assertLessEqual(bad, corrupted)
        self.assertGreater(bad, corrupted * 0.8, "all but those hit in the Ethernet header or in the version of IP")
        self.assertEqual(count('frame.packet_flags_direction == 2 && tcp.checksum.status == "Bad"'), 0)
        # What was sent and never seen again, by packet number alone.
        rows = clusters.tshark(run.capture, fields=("frame.packet_id", "frame.packet_flags_direction"))
        arrivals = collections.Counter(packet for packet, direction in rows if int(direction, 16) == 1)
        sent = {packet for packet, direction in rows if int(direction, 16) == 2}
        self.assertEqual(len(sent - set(arrivals)), link["lost"] + back["lost"])
        self.assertEqual(sum(n - 1 for n in arrivals.values()), link["duplicated"] + back["duplicated"])


if __name__ == "__main__":
    support.main()
