package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.Size
import java.awt.image.BufferedImage
import java.io.File
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import javax.imageio.ImageIO

/** Runs the complete pipeline without the user interface, with the exported demo model. */
class InferencePipelineTest {
    @TempDir
    private lateinit var empty: File

    private class Result(val size: Size?, val anchors: List<LabelAnchor>, val pixels: IntArray, val latency: String)

    private class FirstResult : InferenceWorker.Listener {
        val result = CompletableFuture<Result>()

        override fun onLoading(entry: ModelEntry) = Unit

        override fun onReady(model: InferenceWorker.LoadedModel) = Unit

        override fun onPrediction(frame: Frame, overlay: Overlay, latency: String) {
            result.complete(Result(overlay.size, overlay.anchors, overlay.pixels.clone(), latency))
        }

        override fun onError(message: String) {
            result.completeExceptionally(AssertionError(message))
        }
    }

    private fun frame(): Frame {
        val image: BufferedImage = ImageIO.read(File(System.getProperty("lvt.golden"), "demo.png"))
        val frame = Frame()
        frame.resize(Size(image.height, image.width))
        image.getRGB(0, 0, image.width, image.height, frame.argb, 0, image.width)
        return frame
    }

    @ParameterizedTest
    @ValueSource(strings = ["lvt.artifact", "lvt.parts"])
    @Timeout(60)
    fun `renders fills, outlines and labels for a scene`(property: String) {
        val artifact = File(System.getProperty(property))
        assumeTrue(artifact.exists(), "$artifact is missing; `make android` exports it")
        val folder = checkNotNull(artifact.parentFile)
        val entry = ModelRepository(listOf(folder), NoBundledFiles, empty).entries().single { it.name == artifact.name }
        val frame = frame()
        val listener = FirstResult()
        val result = InferenceWorker(listOf(OnnxRuntime), listener).use {
            it.load(entry, RunSettings(threads = 1))
            it.submitPhoto(frame)
            listener.result.get(50, TimeUnit.SECONDS)
        }
        assertEquals(frame.size, result.size)
        assertTrue(result.anchors.any { it.text.endsWith("%") }, "an instance")
        assertTrue(result.anchors.any { !it.text.endsWith("%") }, "stuff")
        assertTrue(result.pixels.any { it ushr 24 == 0xff }, "an outline")
        assertTrue("preprocess" in result.latency, result.latency)
    }
}
