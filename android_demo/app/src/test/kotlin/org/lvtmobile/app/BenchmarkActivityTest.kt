package org.lvtmobile.app

import android.content.Intent
import android.os.Build
import android.os.Bundle
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.util.ReflectionHelpers
import java.io.File

/** Tests extras of `am start`, and the reply file that `lvt-bench` pulls. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
@GraphicsMode(GraphicsMode.Mode.LEGACY)
class BenchmarkActivityTest {
    private fun runAndReadReply(name: String, extras: Intent.() -> Unit): String {
        val intent = Intent().putExtra("reply", name).apply(extras)
        val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, intent).create().get()
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
    }

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
        for (runtime in listOf("onnxruntime-nnapi", "tflite-gpu", "tflite-nnapi")) {
            val reply = runAndReadReply("$runtime.json") {
                putExtra("artifact", "stub.onnx")
                putExtra("runtime", runtime)
            }
            assertTrue(reply, "\"error\"" in reply)
        }
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
                "android_demo/README.md tells how to add them",
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
