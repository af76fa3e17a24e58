package org.lvtmobile.app

import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.os.Looper
import android.os.PowerManager
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.lvtmobile.core.Artifact
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowLog
import org.robolectric.util.ReflectionHelpers
import java.io.File
import java.time.Duration

/** Tests extras of `am start`, and the reply file that `lvt-bench` pulls. */
@RunWith(RobolectricTestRunner::class)

class BenchmarkActivityTest {
    private fun runAndReadReply(name: String, extras: Intent.() -> Unit): String {
        val intent = Intent().putExtra("reply", name).apply(extras)
        val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, intent).setup().windowFocusChanged(true).get()
        await("activity finished") { activity.isFinishing }
        return File(context.getExternalFilesDir("bench"), name).readText()
    }

    @Test
    fun `measures with ONNX Runtime`() {
        push(demoModel)
        val reply = runAndReadReply("run.json") {
            putExtra("artifact", demoModel.name)
            putExtra("runtime", "onnxruntime")
            putExtra("threads", "1")
            putExtra("warmup", 1)
            putExtra("runs", 3)
        }
        assertTrue(reply, "\"samples_ms\"" in reply && "\"accelerator\":\"cpu\"" in reply)
        assertTrue(reply, "(API 35)" in reply)
        assertTrue(reply, "\"conditions\":{\"foreground\":true,\"thermal_before\":0,\"thermal_after\":0}" in reply)
    }

    /** In the background, Android gives the app slower cores. */
    @Test
    fun `a benchmark that leaves the foreground fails`() {
        push(demoModel)
        val controller = Robolectric.buildActivity(BenchmarkActivity::class.java, request("left.json", runs = 1_000_000))
        val activity = controller.setup().windowFocusChanged(true).get()
        val progress = replyFile("left.json.progress")
        await("first inference") { progress.exists() }
        controller.pause()
        controller.resume()
        await("activity finished") { activity.isFinishing }
        val reply = replyFile("left.json").readText()
        assertTrue(reply, "\"error\":\"the benchmark left the foreground" in reply)
    }

    @Test
    fun `a benchmark does not start while the screen is off`() {
        shadowOf(context.getSystemService(PowerManager::class.java)).turnScreenOn(false)
        val reply = runAndReadReply("dark.json") {}
        assertTrue(reply, "\"error\":\"the screen is off" in reply)
    }

    @Test
    fun `replies if it never gets to the foreground`() {
        val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, request("behind.json")).create().get()
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(25))
        await("activity finished") { activity.isFinishing }
        assertTrue("does not get to the foreground" in replyFile("behind.json").readText())
    }

    @Test
    fun `tells the thermal status before and after`() {
        push(demoModel)
        val power = shadowOf(context.getSystemService(PowerManager::class.java))
        val controller = Robolectric.buildActivity(BenchmarkActivity::class.java, request("warm.json", runs = 200))
        power.setCurrentThermalStatus(PowerManager.THERMAL_STATUS_LIGHT)
        val activity = controller.setup().windowFocusChanged(true).get()
        await("first inference") { replyFile("warm.json.progress").exists() }
        power.setCurrentThermalStatus(PowerManager.THERMAL_STATUS_SEVERE)
        await("activity finished") { activity.isFinishing }
        val reply = replyFile("warm.json").readText()
        assertTrue(reply, "\"thermal_before\":1,\"thermal_after\":3" in reply)
    }

    /** `lvt-bench` would wait for minutes otherwise. */
    @Test
    @Config(application = NoStorage::class)
    fun `tells the log if there is no place for a reply`() {
        val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, request("none.json"))
            .setup().windowFocusChanged(true).get()
        await("activity finished") { activity.isFinishing }
        assertEquals(
            listOf("no reply: the shared storage of this device is not available"),
            ShadowLog.getLogsForTag("lvt-bench").map { it.msg },
        )
    }

    @Test
    fun `tells the log if the reply cannot be written`() {
        replyFile("full.json").mkdirs() // no file can have this name
        replyFile("full.json/x").writeText("")
        val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, request("full.json"))
            .setup().windowFocusChanged(true).get()
        await("activity finished") { activity.isFinishing }
        val lines = ShadowLog.getLogsForTag("lvt-bench").map { it.msg }
        assertTrue("$lines", lines.single().startsWith("no reply: cannot write full.json: cannot rename"))
    }

    /** A runtime of another maker can throw anything. */
    @Test
    @Config(application = FailingRuntime::class)
    fun `replies to an unexpected error`() {
        push(demoModel)
        val reply = runAndReadReply("odd.json") {
            putExtra("artifact", demoModel.name)
            putExtra("runtime", "failing")
        }
        assertTrue(reply, "\"error\":\"unexpected error, please report it: java.lang.NullPointerException: no graph" in reply)
    }

    private fun request(name: String, runs: Int = 1) = Intent()
        .putExtra("reply", name)
        .putExtra("artifact", demoModel.name)
        .putExtra("runtime", "onnxruntime")
        .putExtra("threads", 1)
        .putExtra("warmup", 0)
        .putExtra("runs", runs)

    private fun replyFile(name: String) = File(context.getExternalFilesDir("bench"), name)

    @Test
    fun `measures the stages of a model in parts`() {
        push(demoParts)
        val reply = runAndReadReply("parts.json") {
            putExtra("artifact", demoParts.name)
            putExtra("runtime", "onnxruntime")
            putExtra("warmup", 0)
            putExtra("runs", 1)
        }
        assertTrue(reply, "\"stages\":{\"milliseconds\":{\"core\":" in reply)
    }

    @Test
    fun `replies to invalid extras with an error`() {
        assertTrue("not a benchmark request" in runAndReadReply("none.json") {})
        assertTrue("no artifact at" in runAndReadReply("lost.json") {
            putExtra("artifact", "lost.onnx")
            putExtra("runtime", "onnxruntime")
        })
    }

    /** The desktop has no delegate libraries, like a phone without the accelerator. */
    @Test
    fun `replies with an error if the accelerator is missing`() {
        push(goldenFile("stub.onnx"))
        for (runtime in listOf("onnxruntime-nnapi", "onnxruntime-webgpu", "tflite-gpu", "tflite-nnapi")) {
            val reply = runAndReadReply("$runtime.json") {
                putExtra("artifact", "stub.onnx")
                putExtra("runtime", runtime)
            }
            assertTrue(reply, "\"error\"" in reply)
        }
    }

    /** Like a phone whose processor the library was not built for. */
    @Test
    fun `replies with an error if ExecuTorch's library is missing`() {
        val model = File(pushFolder(), "stub.pte")
        goldenFile("stub.onnx").copyTo(model)
        val manifest = goldenFile("stub.onnx.json").readText()
        File("$model.json").writeText(manifest.replace("\"target\": \"onnx\"", "\"target\": \"executorch\""))
        val reply = runAndReadReply("executorch.json") {
            putExtra("artifact", "stub.pte")
            putExtra("runtime", "executorch")
        }
        assertTrue(reply, "this device cannot load the runtime: " in reply)
    }

    /** Only a phone with the chip that a file is compiled for can run it. */
    @Test
    fun `replies with the chip of a compiled model and of the phone`() {
        pushCompiled("stub.qnn")
        val compiled = "stub.qnn is compiled for sm8650 (Snapdragon 8 Gen 3)"
        val expected = mapOf(
            "SM8550" to "$compiled, and this phone's chip is sm8550: export it with --soc sm8550",
            "MT6989" to "$compiled, and this phone's chip is mt6989\"",
            Build.UNKNOWN to "$compiled, but Android does not tell this phone's chip",
            "SM8650-AC" to "Qualcomm's libraries are not in this app: libonnxruntime_providers_qnn.so is missing; " +
                "docs/android.md tells how to add them",
        )
        for ((soc, message) in expected) {
            val reply = withChip(soc) { qnnReply("$soc.json") }
            assertTrue(reply, message in reply)
        }
    }

    private fun qnnReply(name: String) = runAndReadReply(name) {
        putExtra("artifact", "stub.qnn")
        putExtra("runtime", "onnxruntime-qnn")
    }

    private fun withChip(soc: String, action: () -> String): String {
        val before = Build.SOC_MODEL
        ReflectionHelpers.setStaticField(Build::class.java, "SOC_MODEL", soc)
        try {
            return action()
        } finally {
            ReflectionHelpers.setStaticField(Build::class.java, "SOC_MODEL", before)
        }
    }

    @Test
    fun `a recreated activity does not measure again`() {
        val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, Intent()).create(Bundle()).get()
        assertTrue(activity.isFinishing)
        assertFalse(File(context.getExternalFilesDir("bench"), "bench.json").exists())
        assertEquals(0, Thread.getAllStackTraces().keys.count { it.name == "benchmark" })
    }
}

/** An app whose only runtime has a bug. */
class FailingRuntime : FakeApplication() {
    override fun runtimes(): List<Runtime> = listOf(
        object : Runtime by OnnxRuntime {
            override val name = "failing"

            override fun open(artifact: Artifact, threads: Int): Session = throw NullPointerException("no graph\nsecond line")
        },
    )
}

/** A device whose shared storage is not there, for example while a computer uses it. */
class NoStorage : FakeApplication() {
    override fun replyFolder(): File? = null
}
