"""The Python client against an API server without nodes or controllers: `python_client.py SERVER [TOKEN CA]`.

Runs with the newest client and with those of 2018, before server-side apply and the dynamic client: what a client does not
have is skipped. Every test makes its own namespace. Events are waited for in watches, nothing sleeps.
"""

import functools
import logging
import os
import queue
import sys
import tempfile
import unittest
import uuid

import yaml
from kubernetes import client, utils, watch
from kubernetes.client.rest import ApiException

NEW = not hasattr(client, "ExtensionsV1beta1Api")
SERVER, TOKEN, CA = (sys.argv[1:] + [None] * 3)[:3]


def connect():
    configuration = client.Configuration()
    configuration.host = SERVER
    if TOKEN:
        configuration.api_key = {"authorization": "Bearer " + TOKEN}
        configuration.ssl_ca_cert = CA
    return client.ApiClient(configuration)


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"of": "test"}), data=data)


def pod_spec():
    return client.V1PodSpec(containers=[client.V1Container(name="c", image="i")])


def deployment(name):
    labels = {"app": name}
    return client.V1Deployment(
        metadata=client.V1ObjectMeta(name=name),
        spec=client.V1DeploymentSpec(
            selector=client.V1LabelSelector(match_labels=labels),
            template=client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=pod_spec()),
        ),
    )


class Case(unittest.TestCase):
    """A namespace of its own, and the clients that most tests need."""

    def setUp(self):
        self.api = connect()
        self.core = client.CoreV1Api(self.api)
        self.apps = client.AppsV1Api(self.api)
        self.ns = "py-" + uuid.uuid4().hex[:10]
        self.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=self.ns)))

    def refused(self, status, call, *args, **kwargs):
        with self.assertRaises(ApiException) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.status, status, caught.exception.body)
        return caught.exception


class Objects(Case):
    def test_life(self):
        made = self.core.create_namespaced_config_map(self.ns, config_map("a", k="1"))
        self.assertEqual(made.metadata.namespace, self.ns)
        self.refused(409, self.core.create_namespaced_config_map, self.ns, config_map("a"))
        read = self.core.read_namespaced_config_map("a", self.ns)
        self.assertEqual(read.data, {"k": "1"})
        read.data["k"] = "2"
        written = self.core.replace_namespaced_config_map("a", self.ns, read)
        self.assertNotEqual(written.metadata.resource_version, made.metadata.resource_version)
        self.refused(409, self.core.replace_namespaced_config_map, "a", self.ns, read)
        body = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=made.metadata.uid))
        self.core.delete_namespaced_config_map("a", self.ns, body=body)
        self.refused(404, self.core.read_namespaced_config_map, "a", self.ns)

    def test_validation(self):
        error = self.refused(422, self.core.create_namespaced_config_map, self.ns, config_map("Not_A_Name"))
        self.assertIn("metadata.name", error.body)

    def test_versions(self):
        self.apps.create_namespaced_deployment(self.ns, deployment("web"))
        if NEW:
            self.assertEqual(self.apps.read_namespaced_deployment("web", self.ns).spec.replicas, 1)
            return
        for api in (client.ExtensionsV1beta1Api, client.AppsV1beta1Api, client.AppsV1beta2Api):
            seen = api(self.api).read_namespaced_deployment("web", self.ns)
            self.assertEqual(seen.spec.template.spec.containers[0].image, "i")

    def test_pages(self):
        names = ["c%02d" % i for i in range(25)]
        for name in names:
            self.core.create_namespaced_config_map(self.ns, config_map(name))
        seen, token, versions = [], None, set()
        while True:
            more = {"_continue": token} if token else {}
            page = self.core.list_namespaced_config_map(self.ns, limit=10, label_selector="of=test", **more)
            seen += [item.metadata.name for item in page.items]
            versions.add(page.metadata.resource_version)
            # What comes between two pages is on neither.
            self.core.create_namespaced_config_map(self.ns, config_map("z%d" % len(seen)))
            token = page.metadata._continue
            if not token:
                break
        self.assertEqual(seen, names)
        self.assertEqual(len(versions), 1)

    def test_selectors(self):
        for name in ("a", "b"):
            self.core.create_namespaced_secret(
                self.ns, client.V1Secret(metadata=client.V1ObjectMeta(name=name, labels={"n": name}), string_data={"k": "v"})
            )
        picked = self.core.list_namespaced_secret(self.ns, label_selector="n in (b,c)").items
        self.assertEqual([s.metadata.name for s in picked], ["b"])
        picked = self.core.list_secret_for_all_namespaces(field_selector="metadata.name=a,metadata.namespace=" + self.ns)
        self.assertEqual([s.data for s in picked.items], [{"k": "dg=="}])

    def test_collection(self):
        for name in ("a", "b"):
            self.core.create_namespaced_config_map(self.ns, config_map(name))
        self.core.delete_collection_namespaced_config_map(self.ns, label_selector="of=test")
        self.assertEqual(self.core.list_namespaced_config_map(self.ns, label_selector="of=test").items, [])

    def test_many_kinds(self):
        spec = client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)])
        service = self.core.create_namespaced_service(
            self.ns, client.V1Service(metadata=client.V1ObjectMeta(name="s"), spec=spec)
        )
        self.assertRegex(service.spec.cluster_ip, r"^\d+\.\d+\.\d+\.\d+$")
        template = client.V1PodTemplateSpec(spec=client.V1PodSpec(restart_policy="Never", containers=pod_spec().containers))
        job = client.V1Job(metadata=client.V1ObjectMeta(name="j"), spec=client.V1JobSpec(template=template))
        self.assertEqual(client.BatchV1Api(self.api).create_namespaced_job(self.ns, job).spec.backoff_limit, 6)
        rule = client.V1PolicyRule(verbs=["get"], api_groups=[""], resources=["pods"])
        role = client.V1Role(metadata=client.V1ObjectMeta(name="r"), rules=[rule])
        client.RbacAuthorizationV1Api(self.api).create_namespaced_role(self.ns, role)
        claim = client.V1PersistentVolumeClaim(
            metadata=client.V1ObjectMeta(name="c"),
            spec=client.V1PersistentVolumeClaimSpec(
                access_modes=["ReadWriteOnce"],
                resources=getattr(client, "V1VolumeResourceRequirements", client.V1ResourceRequirements)(
                    requests={"storage": "1Gi"}
                ),
            ),
        )
        made = self.core.create_namespaced_persistent_volume_claim(self.ns, claim)
        self.assertEqual(made.spec.volume_mode, "Filesystem")


class Watches(Case):
    def test_events(self):
        begin = self.core.list_namespaced_config_map(self.ns).metadata.resource_version
        self.core.create_namespaced_config_map(self.ns, config_map("a", k="1"))
        self.core.patch_namespaced_config_map("a", self.ns, {"data": {"k": "2"}})
        self.core.delete_namespaced_config_map("a", self.ns, body=client.V1DeleteOptions())
        stream, seen = watch.Watch(), []
        for event in stream.stream(
            self.core.list_namespaced_config_map, self.ns, resource_version=begin, label_selector="of=test", timeout_seconds=30
        ):
            seen.append((event["type"], event["object"].data))
            if event["type"] == "DELETED":
                stream.stop()
        self.assertEqual(seen, [("ADDED", {"k": "1"}), ("MODIFIED", {"k": "2"}), ("DELETED", {"k": "2"})])
        self.assertGreater(int(stream.resource_version), int(begin))

    def test_the_objects_there_are_come_first(self):
        self.core.create_namespaced_config_map(self.ns, config_map("a"))
        stream = watch.Watch()
        for event in stream.stream(self.core.list_namespaced_config_map, self.ns, label_selector="of=test", timeout_seconds=30):
            self.assertEqual((event["type"], event["object"].metadata.name), ("ADDED", "a"))
            stream.stop()

    def test_timeout(self):
        begin = self.core.list_namespaced_config_map(self.ns).metadata.resource_version
        seen = self.core.list_namespaced_config_map(
            self.ns, watch=True, resource_version=begin, timeout_seconds=1, _preload_content=False
        )
        self.assertEqual(seen.read(), b"")

    def test_too_old(self):
        answer = self.core.list_namespaced_config_map(
            self.ns, watch=True, resource_version="2", timeout_seconds=5, _preload_content=False
        )
        self.assertIn(b'"code":410', answer.read())
        if not NEW:
            return
        with self.assertRaises(ApiException) as caught:
            for _ in watch.Watch().stream(self.core.list_namespaced_config_map, self.ns, resource_version="2", timeout_seconds=5):
                pass
        self.assertEqual(caught.exception.status, 410)


class Patches(Case):
    def test_kinds(self):
        self.apps.create_namespaced_deployment(self.ns, deployment("web"))
        path = {"namespace": self.ns, "name": "web"}
        strategic = {"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}]}}}}
        done = self.apps.patch_namespaced_deployment(body=strategic, **path)
        # A dictionary is a strategic patch: the container is added before the one there is.
        self.assertEqual(done.spec.template.spec.containers[0].name, "d")
        done = self.apps.patch_namespaced_deployment(
            body=[{"op": "replace", "path": "/spec/replicas", "value": 3}], **path
        )
        self.assertEqual(done.spec.replicas, 3)
        if NEW:
            merge = {"_content_type": "application/merge-patch+json"}
            done = self.apps.patch_namespaced_deployment(body=strategic, **path, **merge)
            self.assertEqual([c.name for c in done.spec.template.spec.containers], ["d"])

    @unittest.skipUnless(NEW, "the client has no server-side apply")
    def test_apply(self):
        apply = {"_content_type": "application/apply-patch+yaml"}

        def body(value):
            return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}}

        path = {"namespace": self.ns, "name": "a"}
        made = self.core.patch_namespaced_config_map(body=body("1"), field_manager="one", **path, **apply)
        self.assertEqual([m.operation for m in made.metadata.managed_fields], ["Apply"])
        error = self.refused(
            409, self.core.patch_namespaced_config_map, body=body("2"), field_manager="two", **path, **apply
        )
        self.assertIn('conflict with \\"one\\"', error.body)
        forced = self.core.patch_namespaced_config_map(
            body=body("2"), field_manager="two", force=True, **path, **apply
        )
        self.assertEqual(forced.data, {"k": "2"})

    @unittest.skipUnless(NEW, "the client has no dry run")
    def test_dry_run(self):
        self.core.create_namespaced_config_map(self.ns, config_map("a"), dry_run="All")
        self.refused(404, self.core.read_namespaced_config_map, "a", self.ns)


class Subresources(Case):
    def pod(self, name):
        pod = client.V1Pod(metadata=client.V1ObjectMeta(name=name, labels={"app": name}), spec=pod_spec())
        return self.core.create_namespaced_pod(self.ns, pod)

    def bind(self, name):
        target = client.V1ObjectReference(api_version="v1", kind="Node", name="n1")
        body = client.V1Binding(metadata=client.V1ObjectMeta(name=name), target=target)
        # The client cannot read the Status that every server answers with.
        if NEW:
            self.core.create_namespaced_pod_binding(name, self.ns, body, _preload_content=False)
        else:
            self.core.create_namespaced_binding(self.ns, body, _preload_content=False)

    def test_scale(self):
        self.apps.create_namespaced_deployment(self.ns, deployment("web"))
        scale = self.apps.read_namespaced_deployment_scale("web", self.ns)
        self.assertEqual((scale.spec.replicas, scale.status.selector), (1, "app=web"))
        scale.spec.replicas = 2
        self.assertEqual(self.apps.replace_namespaced_deployment_scale("web", self.ns, scale).spec.replicas, 2)
        scale = self.apps.patch_namespaced_deployment_scale("web", self.ns, {"spec": {"replicas": 4}})
        self.assertEqual(scale.spec.replicas, 4)
        self.assertEqual(self.apps.read_namespaced_deployment("web", self.ns).spec.replicas, 4)

    def test_status(self):
        self.pod("p")
        condition = client.V1PodCondition(type="Ready", status="True")
        body = {"status": {"phase": "Running", "conditions": [condition.to_dict()]}}
        seen = self.core.patch_namespaced_pod_status("p", self.ns, body)
        self.assertEqual(seen.status.phase, "Running")
        seen.status.pod_ip = "10.1.2.3"
        self.core.replace_namespaced_pod_status("p", self.ns, seen)
        self.assertEqual(self.core.read_namespaced_pod_status("p", self.ns).status.pod_ip, "10.1.2.3")

    def test_binding(self):
        self.pod("p")
        self.bind("p")
        self.assertEqual(self.core.read_namespaced_pod("p", self.ns).spec.node_name, "n1")
        found = self.core.list_pod_for_all_namespaces(field_selector="spec.nodeName=n1,metadata.namespace=" + self.ns)
        self.assertEqual(len(found.items), 1)

    def test_eviction(self):
        self.pod("p")
        self.bind("p")
        meta = client.V1ObjectMeta(name="p", namespace=self.ns)
        kind = client.V1Eviction if NEW else client.V1beta1Eviction
        eviction = kind(metadata=meta, delete_options=client.V1DeleteOptions(grace_period_seconds=5))
        policy = client.PolicyV1Api if NEW else client.PolicyV1beta1Api
        budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}}}
        self.core.patch_namespaced_pod_status(
            "p", self.ns, {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        )
        policy(self.api).create_namespaced_pod_disruption_budget(self.ns, budget)
        self.refused(429, self.core.create_namespaced_pod_eviction, "p", self.ns, eviction)
        policy(self.api).delete_namespaced_pod_disruption_budget("b", self.ns, body=client.V1DeleteOptions())
        self.core.create_namespaced_pod_eviction("p", self.ns, eviction)
        self.assertEqual(self.core.read_namespaced_pod("p", self.ns).metadata.deletion_grace_period_seconds, 5)

    @unittest.skipUnless(NEW, "the client has no token requests")
    def test_token(self):
        self.core.create_namespaced_service_account(self.ns, client.V1ServiceAccount(metadata={"name": "robot"}))
        request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
        made = self.core.create_namespaced_service_account_token("robot", self.ns, request)
        review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=made.status.token))
        seen = client.AuthenticationV1Api(self.api).create_token_review(review)
        self.assertEqual(seen.status.user.username, "system:serviceaccount:%s:robot" % self.ns)

    def test_log_without_a_node(self):
        self.pod("p")
        self.assertFalse(self.core.read_namespaced_pod_log("p", self.ns))


class Custom(Case):
    def define(self, plural, kind):
        names = {"plural": plural, "kind": kind}
        size = {"type": "integer", "minimum": 1}
        if NEW:
            # v1beta1 has no default values.
            size["default"] = 3
        schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": size}}}}
        spec = {"group": "py.example.com", "scope": "Namespaced", "names": names}
        meta = {"name": plural + ".py.example.com"}
        if NEW:
            version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            version["subresources"] = {"status": {}}
            spec["versions"] = [version]
            api = client.ApiextensionsV1Api(self.api)
        else:
            spec.update(version="v1", validation={"openAPIV3Schema": schema}, subresources={"status": {}})
            spec["preserveUnknownFields"] = False
            api = client.ApiextensionsV1beta1Api(self.api)
        try:
            api.create_custom_resource_definition({"metadata": meta, "spec": spec})
        except ValueError:
            # Clients before 12 cannot read a definition whose status is still empty; nor could they of any server.
            if NEW:
                raise
        return api, meta["name"]

    def test_custom_objects(self):
        plural = "t" + uuid.uuid4().hex[:8]
        api, name = self.define(plural, plural.title())
        objects = client.CustomObjectsApi(self.api)
        at = ("py.example.com", "v1", self.ns, plural)
        body = {"apiVersion": "py.example.com/v1", "kind": plural.title(), "metadata": {"name": "a"}, "spec": {}}
        made = objects.create_namespaced_custom_object(*at, body)
        self.assertEqual(made["spec"], {"size": 3} if NEW else {})
        if NEW:
            merge = {"_content_type": "application/merge-patch+json"}
        else:
            merge = {}
        done = objects.patch_namespaced_custom_object(*at, "a", {"spec": {"size": 5}}, **merge)
        self.assertEqual(done["spec"], {"size": 5})
        self.refused(422, objects.patch_namespaced_custom_object, *at, "a", {"spec": {"size": 0}}, **merge)
        done["spec"]["size"] = 7
        objects.replace_namespaced_custom_object(*at, "a", done)
        status = {"apiVersion": "py.example.com/v1", "kind": plural.title(), "metadata": {"name": "a"}, "status": {"ok": True}}
        listed = objects.list_namespaced_custom_object(*at)
        self.assertEqual([item["spec"]["size"] for item in listed["items"]], [7])
        if NEW:
            objects.patch_namespaced_custom_object_status(*at, "a", status, **merge)
        objects.delete_namespaced_custom_object(*at, "a", body=client.V1DeleteOptions())
        self.refused(404, objects.get_namespaced_custom_object, *at, "a")
        api.delete_custom_resource_definition(name, body=client.V1DeleteOptions())

    @unittest.skipUnless(NEW, "the client has no dynamic client")
    def test_dynamic(self):
        from kubernetes import dynamic

        plural = "d" + uuid.uuid4().hex[:8]
        api, name = self.define(plural, plural.title())
        with tempfile.TemporaryDirectory() as cache:
            found = dynamic.DynamicClient(self.api, cache_file=os.path.join(cache, "discovery"))
            things = found.resources.get(api_version="py.example.com/v1", kind=plural.title())
            thing = {"apiVersion": "py.example.com/v1", "kind": plural.title(), "metadata": {"name": "a"}, "spec": {"size": 2}}
            # Of built-in kinds the path says what a body is; of custom ones the body must.
            self.refused(400, things.create, namespace=self.ns, body={"metadata": {"name": "a"}})
            things.create(namespace=self.ns, body=thing)
            self.assertEqual(things.get(name="a", namespace=self.ns).spec.size, 2)
            maps = found.resources.get(api_version="v1", kind="ConfigMap")
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": "v"}}
            maps.server_side_apply(namespace=self.ns, name="m", body=body, field_manager="dynamic")
            self.assertEqual(maps.get(name="m", namespace=self.ns).data.k, "v")
            deployments = found.resources.get(api_version="apps/v1", kind="Deployment")
            deployments.create(namespace=self.ns, body=self.api.sanitize_for_serialization(deployment("web")))
            deployments.scale.patch(
                name="web", namespace=self.ns, body={"spec": {"replicas": 6}}, content_type="application/merge-patch+json"
            )
            self.assertEqual(deployments.scale.get(name="web", namespace=self.ns).spec.replicas, 6)
            for event in maps.watch(namespace=self.ns, timeout=30, field_selector="metadata.name=m"):
                self.assertEqual(event["object"].metadata.name, "m")
                break
            self.assertGreater(len(list(found.resources.search(kind="Deployment"))), 0)
        api.delete_custom_resource_definition(name)


class Tools(Case):
    MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: %s
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i}]}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: m, namespace: NS}
"""

    def test_create_from_yaml(self):
        manifest = self.MANIFEST.replace("NS", self.ns) % ("apps/v1" if NEW else "extensions/v1beta1")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            if not NEW:
                # It takes one document, and reads it as PyYAML did before 6.
                manifest = manifest.split("---")[1]
                yaml.load = functools.partial(yaml.load, Loader=yaml.SafeLoader)
            file.write(manifest)
            file.flush()
            utils.create_from_yaml(self.api, file.name)
        self.assertEqual(self.apps.read_namespaced_deployment("web", self.ns).spec.replicas, 1)
        if NEW:
            self.core.read_namespaced_service("web", self.ns)
            self.core.read_namespaced_config_map("m", self.ns)

    def test_discovery(self):
        self.assertIn("v1", client.CoreApi(self.api).get_api_versions().versions)
        groups = {group.name for group in client.ApisApi(self.api).get_api_versions().groups}
        self.assertLessEqual({"apps", "batch", "extensions", "policy"}, groups)
        names = {r.name for r in client.AppsV1Api(self.api).get_api_resources().resources}
        self.assertIn("deployments/scale", names)
        version = client.VersionApi(self.api).get_code()
        self.assertEqual(version.major, "1")

    def test_reviews(self):
        kind = client.V1SelfSubjectAccessReview
        ask = client.V1ResourceAttributes(namespace=self.ns, verb="create", resource="pods")
        body = kind(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=ask))
        seen = client.AuthorizationV1Api(self.api).create_self_subject_access_review(body)
        self.assertTrue(seen.status.allowed)

    @unittest.skipUnless(NEW, "the client has no informer")
    def test_informer(self):
        from kubernetes.informer import SharedInformer

        self.core.create_namespaced_config_map(self.ns, config_map("before"))
        told = queue.Queue()
        informer = SharedInformer(self.core.list_namespaced_config_map, namespace=self.ns)
        informer.add_event_handler("ADDED", lambda o: told.put(o.metadata.name))
        informer.start()
        self.assertEqual(told.get(timeout=30), "before")
        self.core.create_namespaced_config_map(self.ns, config_map("after"))
        self.assertEqual(told.get(timeout=30), "after")
        informer.stop()


if __name__ == "__main__":
    # An informer that is stopped complains that its connection closes.
    logging.disable()
    unittest.main(argv=sys.argv[:1], verbosity=1)
